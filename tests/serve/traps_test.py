#!/usr/bin/env python3
"""What other servers got wrong and clients suffered from, asked of the real program: traps of the three dialects, and
what Claude Code and Codex send. traps.txt says which test has which trap.

traps_test.py HEARTH
"""
import concurrent.futures
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import agents
from program import Program
from store import Store, demo_bytes

HEARTH = sys.argv.pop()
FRANCE = "What is the capital of France?"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
CLAUDE_WEATHER = {"name": "get_weather", "description": "Get the current weather in a city",
                  "input_schema": WEATHER["function"]["parameters"]}
# A model that thinks where it is told to.
THINKS = """{{- range .Messages }}{{ if eq .Role "assistant" }}<|assistant|>{{ if .Thinking }}<think>{{ .Thinking }}</think>
{{ end }}{{ .Content }}<|end|>{{ else }}<|user|>{{ .Content }}<|end|>{{ end }}{{ end }}<|assistant|>{{ if .IsThinkSet }}
{{- if .Think }}<think>{{ else }}<think></think>{{ end }}{{ end }}"""


class Traps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        store = Store(cls.folder.name)
        store.add("large", demo_bytes(1 << 17))
        store.add("thinker", template=THINKS)
        cls.server = Program(HEARTH, environment=store.environment | {
            "OLLAMA_CONTEXT_LENGTH": "65536", "HEARTH_ALIASES": "gpt-4o=demo,claude-haiku*=thinker",
            "HEARTH_DEFAULT_MODEL": "large"})

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def post(self, path, body, headers=None):
        status, headers, data = self.server.request("POST", path, body, headers)
        return status, headers, data.decode()

    def good(self, path, body, headers=None):
        status, headers, data = self.post(path, body, headers)
        self.assertEqual(status, 200, data)
        return json.loads(data)

    def chat(self, **more):
        return {"model": "demo", "messages": [{"role": "user", "content": FRANCE}], "temperature": 0} | more

    def message(self, **more):
        return self.chat(max_tokens=100) | more

    def events(self, path, body, headers=None):
        """(event, data) of a stream, in order."""
        status, _, data = self.post(path, body | {"stream": True}, headers)
        self.assertEqual(status, 200, data)
        found = []
        for block in data.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
            if "data" in lines:
                found.append((lines.get("event"), lines["data"]))
        return found

    # --- OpenAI

    def test_completion_tokens_limits_in_all_forms(self):
        for limit, least, most in [(5, 5, 5), (None, 6, 100), (-1, 6, 100), (10**9, 6, 100)]:
            reply = self.good("/v1/chat/completions", self.chat(max_completion_tokens=limit))
            self.assertTrue(least <= reply["usage"]["completion_tokens"] <= most, (limit, reply))
        for wrong in (0, -5, "5", 1.5e30):
            status, _, data = self.post("/v1/chat/completions", self.chat(max_completion_tokens=wrong))
            self.assertEqual((status, json.loads(data)["error"]["param"]), (400, "max_completion_tokens"), data)
        # More than the context has room for: it ends there, and says so.
        reply = self.good("/v1/chat/completions", self.chat(max_tokens=10**9, ignore_eos=True))
        self.assertEqual(reply["choices"][0]["finish_reason"], "length")
        self.assertIn(reply["usage"]["total_tokens"], (1024, 1025))  # the last one need not be kept

    def test_null_is_absent_everywhere(self):
        names = ["max_tokens", "temperature", "top_p", "stop", "seed", "n", "logit_bias", "logprobs", "tools",
                 "tool_choice", "response_format", "stream", "stream_options", "reasoning_effort", "metadata", "user"]
        expected = self.good("/v1/chat/completions", self.chat())["choices"][0]["message"]["content"]
        body = self.chat(**{n: None for n in names if n != "temperature"})
        self.assertEqual(self.good("/v1/chat/completions", body)["choices"][0]["message"]["content"], expected)
        for stop in (None, [], [""], ""):
            reply = self.good("/v1/chat/completions", self.chat(stop=stop))
            self.assertEqual(reply["choices"][0]["message"]["content"], expected, stop)

    def test_a_stop_text_is_found_across_tokens(self):
        whole = self.good("/v1/chat/completions", self.chat())["choices"][0]["message"]["content"]
        for begin in range(1, len(whole) - 2):
            stop = whole[begin:begin + 3]
            expected = whole[:whole.index(stop)]
            reply = self.good("/v1/chat/completions", self.chat(stop=[stop]))["choices"][0]
            self.assertEqual((reply["message"]["content"] or "", reply["finish_reason"]), (expected, "stop"), stop)
            claude = self.good("/v1/messages", self.message(stop_sequences=[stop]))
            self.assertEqual((claude["stop_reason"], claude["stop_sequence"]), ("stop_sequence", stop))
            self.assertEqual("".join(b["text"] for b in claude["content"]), expected)

    def test_no_tools_with_a_choice(self):
        for choice in (None, "auto", "none"):
            reply = self.good("/v1/chat/completions", self.chat(tools=[], tool_choice=choice))
            self.assertNotIn("tool_calls", reply["choices"][0]["message"])
        for choice in ("required", {"type": "function", "function": {"name": "x"}}):
            self.assertEqual(self.post("/v1/chat/completions", self.chat(tools=[], tool_choice=choice))[0], 400)

    def test_a_demanded_call_comes_and_a_forbidden_one_does_not_over_many_seeds(self):
        def calls(seed, choice):
            body = self.chat(tools=[WEATHER], tool_choice=choice, seed=seed, temperature=1.5, max_tokens=200)
            reply = self.good("/v1/chat/completions", body)["choices"][0]
            found = reply["message"].get("tool_calls")
            self.assertTrue(found is None or found, "never an empty list")
            if found:
                self.assertIsInstance(json.loads(found[0]["function"]["arguments"])["city"], str)
            return (bool(found), reply["finish_reason"])

        def claude(seed, choice):
            body = self.message(tools=[CLAUDE_WEATHER], tool_choice=choice, temperature=1.5, max_tokens=200)
            reply = self.good("/v1/messages", body)
            return any(b["type"] == "tool_use" for b in reply["content"]), reply["stop_reason"]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for called, reason in pool.map(lambda s: calls(s, "required"), range(50)):
                self.assertTrue(called or reason == "length")
                self.assertEqual(reason, "tool_calls" if called else "length")
            self.assertEqual({c for c, _ in pool.map(lambda s: calls(s, "none"), range(50))}, {False})
            for called, reason in pool.map(lambda s: claude(s, {"type": "any"}), range(10)):
                self.assertTrue(called or reason == "max_tokens")
            self.assertEqual({c for c, _ in pool.map(lambda s: claude(s, {"type": "none"}), range(10))}, {False})

    def test_a_call_that_is_cut_ends_in_length_and_may_come_back_in_history(self):
        for most in range(1, 30, 3):
            body = self.chat(tools=[WEATHER], tool_choice="required", max_tokens=most)
            reply = self.good("/v1/chat/completions", body)["choices"][0]
            whole = reply["finish_reason"] == "tool_calls"
            self.assertIn(reply["finish_reason"], ("length", "tool_calls"))
            streamed = self.events("/v1/messages", self.message(tools=[CLAUDE_WEATHER], tool_choice={"type": "any"},
                                                                max_tokens=most))
            kinds = [event for event, _ in streamed]
            self.assertEqual(kinds[-1], "message_stop")
            self.assertEqual(kinds.count("content_block_start"), kinds.count("content_block_stop"))
            if whole:
                break
        history = [{"role": "user", "content": FRANCE},
                   {"role": "assistant", "content": None, "tool_calls": [
                       {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"a":'}}]},
                   {"role": "tool", "tool_call_id": "call_1", "content": "12"}, {"role": "user", "content": "Hi"}]
        status, headers, data = self.post("/v1/chat/completions", self.chat(messages=history, tools=[WEATHER]))
        self.assertEqual(status, 200, data)
        self.assertIn("messages[1].tool_calls[0].function.arguments=", headers["x-hearth-warnings"])

    def test_streams_amount_to_the_whole_reply(self):
        for tools in ([], [WEATHER]):
            body = self.chat(tools=tools, seed=7, tool_choice="required" if tools else None, max_tokens=100)
            whole = self.good("/v1/chat/completions", body)["choices"][0]
            events = self.events("/v1/chat/completions", body | {"stream_options": {"include_usage": True}})
            self.assertEqual(events[-1][1], "[DONE]")
            content, arguments, name, finish, roles = "", "", "", [], 0
            for _, data in events[:-1]:
                chunk = json.loads(data)
                self.assertIn("usage", chunk)
                for choice in chunk["choices"]:
                    delta = choice["delta"]
                    roles += "role" in delta
                    self.assertFalse("content" in delta and "tool_calls" in delta, delta)
                    content += delta.get("content") or ""
                    for call in delta.get("tool_calls", []):
                        self.assertEqual(call["index"], 0)
                        name += call["function"].get("name") or ""
                        arguments += call["function"].get("arguments") or ""
                    finish += [choice["finish_reason"]] if choice["finish_reason"] else []
            self.assertEqual(roles, 1)
            self.assertEqual(json.loads(events[-2][1])["choices"], [])
            self.assertEqual(finish, [whole["finish_reason"]])
            self.assertEqual(content, whole["message"]["content"] or "")
            if tools:
                called = whole["message"]["tool_calls"][0]["function"]
                self.assertEqual((name, arguments), (called["name"], called["arguments"]))

    def test_invalid_requests_with_a_stream_are_refused_by_status(self):
        for path, body in [("/v1/chat/completions", self.chat(temperature=9)), ("/v1/messages", self.message(top_p=9)),
                           ("/v1/responses", {"model": "demo", "input": 5}), ("/api/chat", self.chat(think="x")),
                           ("/v1/completions", {"model": "demo", "prompt": {}}),
                           ("/v1/chat/completions", self.chat(model="nobody"))]:
            status, headers, data = self.post(path, body | {"stream": True})
            self.assertTrue(400 <= status < 500, (path, status))
            self.assertTrue(headers["Content-Type"].startswith("application/json"))
            self.assertIn("error", json.loads(data))

    def test_a_second_request_takes_what_is_computed_and_counts_the_same(self):
        text = "Tell me about the sea, number %d. " % time.monotonic_ns() + agents.filler(600)
        ask = {"model": "demo", "messages": [{"role": "user", "content": text}], "max_tokens": 4}
        first, second = [self.good("/v1/chat/completions", ask)["usage"] for _ in range(2)]
        self.assertEqual(first["prompt_tokens"], second["prompt_tokens"])
        self.assertGreater(second["prompt_tokens_details"]["cached_tokens"], 32)
        self.assertLessEqual(second["prompt_tokens_details"]["cached_tokens"], second["prompt_tokens"])
        claude = self.good("/v1/messages", ask)["usage"]
        count = self.good("/v1/messages/count_tokens", ask)["input_tokens"]
        self.assertGreater(claude["cache_read_input_tokens"], 32)
        self.assertEqual(count, claude["input_tokens"] + claude["cache_read_input_tokens"] +
                         claude["cache_creation_input_tokens"])
        # A salt is another cache.
        salted = self.good("/v1/chat/completions", ask | {"cache_salt": "mine"})["usage"]
        self.assertEqual(salted["prompt_tokens_details"]["cached_tokens"], 0)

    def test_later_system_messages_stay_in_place(self):
        begin = [{"role": "system", "content": "Be brief. " + agents.filler(500)}, {"role": "user", "content": FRANCE}]
        more = begin + [{"role": "assistant", "content": "Paris."}, {"role": "system", "content": "The date has changed."},
                        {"role": "user", "content": "And of Italy?"}]
        for path in ("/v1/chat/completions", "/v1/messages"):
            shown = [self.good("/apply-template", {"model": "demo", "messages": m})["prompt"] for m in (begin, more)]
            self.assertGreater(shown[1].index("The date has changed."), shown[1].index("Paris."))
            self.good(path, self.message(messages=begin))
            usage = self.good(path, self.message(messages=more))["usage"]
            cached = usage.get("cache_read_input_tokens", usage.get("prompt_tokens_details", {}).get("cached_tokens"))
            self.assertGreater(cached, 64)

    def test_big_tool_sets_neither_fail_nor_take_long(self):
        tools = [{"type": "function", "function": {"name": f"tool_{i}", "description": agents.filler(700),
                                                   "parameters": agents.tool_schema(i, 700)}} for i in range(60)]
        self.assertGreater(len(json.dumps(tools)), 110_000)
        # Their schemas are compiled; then the prompt is too long for this model.
        times = []
        for _ in range(2):
            begin = time.monotonic()
            status, _, data = self.post("/v1/chat/completions", self.chat(tools=tools))
            times.append(time.monotonic() - begin)
            self.assertEqual((status, json.loads(data)["error"]["code"]), (400, "context_length_exceeded"), data)
        self.assertLess(times[0], 20, "on a machine that does much else")
        self.good("/v1/chat/completions", self.chat(model="large", tools=tools[:2], max_tokens=1))
        strict = json.loads(json.dumps(tools[:1]))
        strict[0]["function"]["strict"] = True
        strict[0]["function"]["parameters"]["properties"]["limit"]["$dynamicRef"] = "#x"
        status, _, data = self.post("/v1/chat/completions", self.chat(tools=strict))
        self.assertEqual(status, 400, data)
        self.assertIn("/properties/limit", json.loads(data)["error"]["message"])

    def test_token_ids_of_another_vocabulary_are_refused(self):
        status, _, data = self.post("/v1/embeddings", {"model": "demo", "input": [[1, 2, 3]]})
        self.assertEqual(status, 400)
        self.assertIn("check_embedding_ctx_length=False", json.loads(data)["error"]["message"])

    def test_overflow_has_the_words_that_agents_look_for(self):
        long = [{"role": "user", "content": "word " * 3000}]
        status, _, data = self.post("/v1/chat/completions", self.chat(messages=long, stream=True))
        fault = json.loads(data)["error"]
        self.assertEqual((status, fault["code"], fault["param"]), (400, "context_length_exceeded", "messages"))
        self.assertRegex(fault["message"], r"^This model's maximum context length is 1024 tokens\. However, your messages "
                         r"resulted in \d+ tokens \(\d+ in the messages, \d+ in the completion\)\.")
        status, _, data = self.post("/v1/messages", self.message(messages=long, stream=True))
        self.assertRegex(json.loads(data)["error"]["message"], r"^prompt is too long: \d+ tokens > 1024 maximum$")
        self.assertEqual(status, 400)

    def test_stored_responses_belong_to_their_key(self):
        for name in ("anna", "bert"):
            self.addCleanup(self.server.command, "key", "revoke", name)  # where there are keys, dummies are refused
        keys = [{"Authorization": "Bearer " + self.server.command("key", "add", name).stdout.strip()}
                for name in ("anna", "bert")]
        for stream in (False, True):
            ask = {"model": "demo", "input": "My name is Milo.", "stream": stream}
            data = self.post("/v1/responses", ask, keys[0])[2]
            name = re.search(r'"id":"(resp_\w+)"', data)[1]
            self.assertEqual(self.server.request("GET", "/v1/responses/" + name, headers=keys[0])[0], 200)
            follow = {"model": "demo", "input": "Who am I?", "previous_response_id": name}
            for stranger in (keys[1], {}):
                self.assertEqual(self.server.request("GET", "/v1/responses/" + name, headers=stranger)[0], 404)
                self.assertEqual(self.server.request("DELETE", "/v1/responses/" + name, headers=stranger)[0], 404)
                status, _, data = self.post("/v1/responses", follow, stranger)
                self.assertEqual((status, json.loads(data)["error"]["code"]), (400, "previous_response_not_found"))
            self.good("/v1/responses", follow, keys[0])
            self.assertEqual(self.server.request("DELETE", "/v1/responses/" + name, headers=keys[0])[0], 200)

    def test_who_goes_frees_the_place_in_every_state(self):
        server = Program(HEARTH, "--parallel", "1", environment=Store(self.folder.name).environment |
                         {"OLLAMA_CONTEXT_LENGTH": "131072"})
        self.addCleanup(server.close)
        endless = {"model": "large", "prompt": "x", "max_tokens": 10**6, "ignore_eos": True}

        def begin(body, wait_for_bytes):
            connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
            connection.request("POST", "/v1/completions", json.dumps(body))
            if wait_for_bytes:
                connection.sock.recv(100)
            return connection

        def busy():
            page = server.request("GET", "/metrics")[2].decode()
            return sum(int(float(n)) for n in re.findall(r"^hearth_model_(?:running|waiting)\{[^}]*\} (\S+)", page, re.M))

        def wait(count, seconds):
            deadline = time.monotonic() + seconds
            while busy() != count and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(busy(), count)

        server.request("POST", "/api/generate", {"model": "large"})
        prefill = endless | {"prompt": "word " * 20000}
        for body, reads in [(endless | {"stream": True}, True), (endless, False), (prefill | {"stream": True}, False)]:
            connection = begin(body, reads)
            wait(1, 20)
            connection.close()
            wait(0, 5)
        running = begin(endless | {"stream": True}, True)
        queued = begin(endless | {"stream": True}, False)
        wait(2, 20)
        queued.close()
        wait(1, 5)
        running.close()
        wait(0, 5)

    # --- Anthropic

    def test_the_first_request_of_claude_code(self):
        begin = time.monotonic()
        status, _, data = self.post("/v1/messages?beta=true", agents.claude_code("demo"), agents.CLAUDE_CODE_HEADERS)
        self.assertEqual(status, 400)
        self.assertRegex(json.loads(data)["error"]["message"], r"^prompt is too long: \d+ tokens > 1024 maximum$")
        self.assertLess(time.monotonic() - begin, 5)
        body = agents.claude_code("large", tools=3) | {"max_tokens": 8}
        events = self.events("/v1/messages?beta=true", body, agents.CLAUDE_CODE_HEADERS)
        self.assertEqual([e for e, _ in events][:2], ["message_start", "ping"])
        self.assertEqual(events[-1][0], "message_stop")
        usage = json.loads(events[0][1])["message"]["usage"]
        self.assertTrue(all(isinstance(usage[n], int) for n in ("input_tokens", "cache_read_input_tokens", "output_tokens")))
        count = self.good("/v1/messages/count_tokens?beta=true", body, agents.CLAUDE_CODE_HEADERS)["input_tokens"]
        self.assertEqual(count, usage["input_tokens"] + usage["cache_read_input_tokens"])
        # Another billing header, another prompt for other servers.
        other = agents.claude_code("large", tools=3, billing="2") | {"max_tokens": 8, "stream": False}
        again = self.good("/v1/messages?beta=true", other, agents.CLAUDE_CODE_HEADERS)["usage"]
        self.assertGreater(again["cache_read_input_tokens"], count - 64)
        # A side request between two turns leaves the main conversation's prefix where it is.
        self.good("/v1/messages", self.message(model="large", max_tokens=4))
        turn = other | {"messages": other["messages"] + [{"role": "assistant", "content": "Hello."},
                                                         {"role": "user", "content": "Go on."}]}
        after = self.good("/v1/messages?beta=true", turn, agents.CLAUDE_CODE_HEADERS)["usage"]
        self.assertGreater(after["cache_read_input_tokens"], count - 64)

    def test_new_sessions_do_not_share_state(self):
        answers = {json.dumps(self.good("/v1/messages", self.message())["content"]) for _ in range(10)}
        self.assertEqual(len(answers), 1)

    def test_names_that_clients_have_fixed(self):
        status, headers, data = self.post("/v1/messages", self.message(model="claude-sonnet-5"))
        self.assertEqual((status, json.loads(data)["model"]), (200, "claude-sonnet-5"))
        self.assertIn("model=large answers", headers["x-hearth-warnings"])
        self.assertIn("model=thinker answers",
                      self.post("/v1/messages", self.message(model="claude-haiku-9"))[1]["x-hearth-warnings"])
        for path, body in [("/v1/chat/completions", self.chat(model="gpt-4o")),
                           ("/v1/responses", {"model": "gpt-4o", "input": "Hi"}),
                           ("/v1/embeddings", {"model": "gpt-4o", "input": "Hi"})]:
            status, headers, data = self.post(path, body)
            self.assertEqual((status, json.loads(data)["model"]), (200, "gpt-4o"), data)
            self.assertIn("model=demo answers", headers["x-hearth-warnings"])
        for name in ("gpt-5", "o3"):
            status, _, data = self.post("/v1/chat/completions", self.chat(model=name))
            self.assertEqual(status, 404)
            self.assertIn("demo:latest", data)

    def test_thinking_is_ended_when_it_has_had_its_tokens(self):
        ask = {"model": "thinker", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "ignore_eos": True,
               "max_tokens": 60}
        for budget in (5, 12):
            reply = self.good("/v1/chat/completions", ask | {"thinking_token_budget": budget, "reasoning_effort": "high"})
            self.assertEqual(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], budget)
            self.assertTrue(reply["choices"][0]["message"]["content"])
        without = self.good("/v1/chat/completions", ask | {"reasoning_effort": "high"})
        self.assertGreater(without["usage"]["completion_tokens_details"]["reasoning_tokens"], 12)
        none = self.good("/v1/chat/completions", ask | {"reasoning_effort": "none"})
        self.assertEqual(none["usage"]["completion_tokens_details"]["reasoning_tokens"], 0)
        # Below max_tokens there is always room for an answer.
        claude = {"model": "thinker", "messages": ask["messages"], "max_tokens": 9, "temperature": 0,
                  "thinking": {"type": "enabled", "budget_tokens": 2000}}
        status, headers, data = self.post("/v1/messages", claude)
        self.assertEqual(status, 200)
        self.assertIn("thinking.budget_tokens=8 counts", headers["x-hearth-warnings"])
        self.assertLessEqual(json.loads(data)["usage"]["output_tokens_details"]["thinking_tokens"], 8)

    def test_capabilities_are_told_alike_everywhere(self):
        expected = self.good("/api/show", {"model": "thinker"})["capabilities"]
        self.assertEqual(set(expected), {"completion", "tools", "thinking"})
        tags = {m["name"]: m for m in self.server.json("GET", "/api/tags")["models"]}
        self.assertEqual(tags["thinker:latest"]["capabilities"], expected)
        self.assertNotIn("thinking", tags["demo:latest"]["capabilities"])
        models = {m["id"]: m for m in self.server.json("GET", "/v1/models")["data"]}
        self.assertTrue(models["thinker:latest"]["capabilities"]["thinking"]["supported"])
        self.assertFalse(models["demo:latest"]["capabilities"]["thinking"]["supported"])

    def test_what_is_dropped_is_told_in_every_dialect(self):
        for path, body in [("/api/chat", self.chat(stream=False, options={"tfs_z": 1, "temperature": 0}, nonsense=1)),
                           ("/api/generate", {"model": "demo", "prompt": "Hi", "nonsense": 1, "options": {"tfs_z": 1}}),
                           ("/api/embed", {"model": "demo", "input": "Hi", "nonsense": 1, "options": {"tfs_z": 1}})]:
            status, headers, data = self.post(path, body)
            self.assertEqual(status, 200, data)
            for name in ("options.tfs_z=", "nonsense="):
                self.assertIn(name, headers["x-hearth-warnings"], path)
        for path, body in [("/v1/chat/completions", self.chat(nonsense=1)), ("/v1/messages", self.message(nonsense=1)),
                           ("/v1/responses", {"model": "demo", "input": "Hi", "nonsense": 1}),
                           ("/v1/completions", {"model": "demo", "prompt": "Hi", "nonsense": 1}),
                           ("/v1/embeddings", {"model": "demo", "input": "Hi", "nonsense": 1})]:
            status, headers, data = self.post(path, body)
            self.assertEqual(status, 200, data)
            self.assertIn("nonsense=it is not known", headers["x-hearth-warnings"], path)

    # --- Codex

    def test_a_turn_of_codex(self):
        events = self.events("/v1/responses", agents.codex("large", FRANCE) | {"max_output_tokens": 40})
        kinds = [event for event, _ in events]
        data = [json.loads(text) for _, text in events]
        self.assertEqual(kinds[0], "response.created")
        self.assertIn(kinds[-1], ("response.completed", "response.incomplete"))
        self.assertEqual([d["sequence_number"] for d in data], list(range(len(data))))
        final = data[-1]["response"]
        self.assertEqual([d["item"] for d in data if d["type"] == "response.output_item.done"], final["output"])
        self.assertEqual(final["id"], data[0]["response"]["id"])
        self.assertIsInstance(final["usage"]["input_tokens_details"]["cached_tokens"], int)
        # Its next turn, with what it was given.
        ask = agents.codex("large", FRANCE)
        ask["input"] += [{"type": "reasoning", "encrypted_content": "foreign"}, *final["output"],
                         {"type": "function_call", "call_id": "call_1", "name": "read", "namespace": "mcp__fs",
                          "arguments": "{}"},
                         {"type": "function_call_output", "call_id": "call_1",
                          "output": [{"type": "input_text", "text": "nothing"}]},
                         {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]}]
        self.assertIn(self.events("/v1/responses", ask | {"max_output_tokens": 10})[-1][0],
                      ("response.completed", "response.incomplete"))

    def test_bodies_that_codex_compresses(self):
        compressed = subprocess.run(["zstd", "-qc"], input=json.dumps(self.chat()).encode(), capture_output=True,
                                    check=True).stdout
        for path in ("/v1/chat/completions", "/api/chat"):
            status, _, data = self.post(path, compressed, {"Content-Encoding": "zstd"})
            self.assertEqual(status, 200, data)
            self.assertIn("Paris", data)
        self.assertEqual(self.post("/v1/chat/completions", b"nonsense", {"Content-Encoding": "zstd"})[0], 400)
        bomb = subprocess.run(["zstd", "-qc"], input=b" " * (21 << 20), capture_output=True, check=True).stdout
        self.assertLess(len(bomb), 10_000)
        self.assertEqual(self.post("/v1/chat/completions", bomb, {"Content-Encoding": "zstd"})[0], 413)
        self.assertEqual(self.post("/v1/chat/completions", b"x", {"Content-Encoding": "br"})[0], 415)

    def test_reranking_is_refused_where_no_model_can(self):
        ask = {"model": "demo", "query": "France", "documents": ["Paris", "Oslo"], "top_n": 1}
        for path in ("/v1/rerank", "/rerank", "/v2/rerank", "/reranking"):
            status, _, data = self.post(path, ask)
            self.assertEqual((status, json.loads(data)["error"]["param"]), (400, "model"), data)
        self.assertEqual(self.post("/v1/rerank", ask | {"model": "nobody"})[0], 404)
        status, _, data = self.post("/v1/rerank", ask | {"documents": []})
        self.assertEqual((status, json.loads(data)["error"]["param"]), (400, "documents"))

    # --- Ollama's clients

    def test_what_ollamas_clients_read(self):
        for method in ("GET", "HEAD"):
            self.assertEqual(self.server.request(method, "/")[0], 200)
        self.assertRegex(self.server.json("GET", "/api/version")["version"], r"^\d+(\.\d+)+$")
        for body in (self.chat(), {"model": "demo", "prompt": FRANCE}):
            lines = self.post("/api/chat" if "messages" in body else "/api/generate", body)[2].splitlines()
            objects = [json.loads(line) for line in lines]
            self.assertTrue(all("error" not in o for o in objects))
            self.assertEqual([o["done"] for o in objects], [False] * (len(objects) - 1) + [True])
            self.assertGreater(objects[-1]["prompt_eval_count"] * objects[-1]["eval_count"], 0)
        shown = self.good("/api/show", {"name": "thinker"})
        self.assertIsInstance(shown["model_info"], dict)
        for line in shown.get("parameters", "").splitlines():
            self.assertRegex(line, r'^\S+ +("[^"]*"|\S+)$')
        # Open WebUI's way to unload, LangChain's empty members, a legacy integer keep_alive.
        self.good("/api/generate", {"model": "demo:latest", "keep_alive": 0, "prompt": ""})
        reply = self.good("/api/chat", self.chat(stream=False, format="", keep_alive=1800, messages=[
            {"role": "user", "content": FRANCE, "images": []}]))
        self.assertIn("Paris", reply["message"]["content"])
        for name in self.server.json("GET", "/api/ps")["models"]:
            self.assertRegex(name["expires_at"], r"^\d{4}-")

    def test_every_trap_has_its_test(self):
        with open(os.path.join(SOURCES, "tests/serve/traps.txt")) as table:
            rows = [line.split(None, 2) for line in table if line.strip() and not line.startswith("#")]
        named = [row[0] for row in rows]
        self.assertEqual(len(named), len(set(named)))
        for group, count in (("A", 27), ("O", 26)):
            self.assertEqual({f"{group}{i}" for i in range(1, count + 1)} - set(named), set())
        for trap, path, test in rows:
            with open(os.path.join(SOURCES, path)) as file:
                self.assertIn(test.strip(), file.read(), trap)


if __name__ == "__main__":
    unittest.main()
