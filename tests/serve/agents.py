"""Requests as Claude Code and Codex send them, as their protocols' descriptions have them: the members, the order of
blocks, the sizes. The texts are filler."""

WORDS = "read the file and say what it does before you change it ".split()


def filler(length):
    return " ".join(WORDS[i % len(WORDS)] for i in range(length // 5))[:length]


def tool_schema(i, length):
    """Like those of Claude Code: long descriptions, nested objects, bounds that grammars choke on."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": False,
            "required": ["file_path"], "properties": {
                "file_path": {"type": "string", "description": filler(length // 2), "maxLength": 524288},
                "edits": {"type": "array", "minItems": 1, "maxItems": 4096, "items": {
                    "type": "object", "required": ["old"], "properties": {
                        "old": {"type": "string"}, "new": {"type": "string", "default": ""},
                        "all": {"type": "boolean"}}}},
                "mode": {"enum": ["fast", "slow", None]},
                "pattern": {"type": "string", "pattern": "^(?:[a-z]{1,8}\\.){0,3}[a-z]{2,6}$"},
                "limit": {"type": "integer", "minimum": 0, "maximum": 100000},
                "note": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}],
                         "description": filler(length // 2)}}}


def claude_code(model, text="Say hello.", tools=24, tool_bytes=1900, billing="1"):
    """The first request of a session, without its headers."""
    return {
        "model": model, "max_tokens": 32000, "stream": True,
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.208; cch={billing};"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": filler(400), "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nToday is a day.\n</system-reminder>"},
                {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": "# Environment\nOS: Linux"}],
        "tools": [{"name": f"Tool{i}" if i else "Read", "description": filler(tool_bytes // 3),
                   "input_schema": tool_schema(i, tool_bytes // 3)} for i in range(tools)],
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "user_0123_account__session_4567"}}


CLAUDE_CODE_HEADERS = {
    "anthropic-version": "2023-06-01", "x-api-key": "anything", "User-Agent": "claude-cli/2.1.208 (external, cli)",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
                      "fine-grained-tool-streaming-2025-05-14,made-up-2031-01-01",
    "x-stainless-lang": "js", "x-claude-code-session-id": "b1946ac9", "anthropic-dangerous-direct-browser-access": "true"}


def codex(model, text="Say hello."):
    """A turn of Codex, which speaks Responses only."""
    shell = {"type": "object", "additionalProperties": False, "required": ["command"], "properties": {
        "command": {"type": "array", "items": {"type": "string"}}, "workdir": {"type": "string"},
        "timeout_ms": {"type": "number"}}}
    return {
        "model": model, "instructions": "You are a coding agent running in a terminal.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: none."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context/>"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs a command", "strict": False, "parameters": shell},
            {"type": "custom", "name": "apply_patch", "description": "Edits files",
             "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
            {"type": "namespace", "name": "mcp__fs", "description": "Files", "tools": [
                {"type": "function", "name": "read", "description": "Reads",
                 "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}]},
            {"type": "web_search", "external_web_access": False}],
        "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False, "stream": True, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "019a-0b",
        "text": {"verbosity": "low"}}
