#!/usr/bin/env python3
"""The real program on a port of its own with the demonstration model, and curl as its client.

serve_test.py HEARTH
"""
import concurrent.futures
import json
import re
import signal
import subprocess
import sys
import time
import unittest

HEARTH = sys.argv.pop()
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class Serve(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([HEARTH, "serve", "--gpu", "off", "--host", "127.0.0.1:0"],
                                       stderr=subprocess.PIPE, text=True)
        for line in self.server.stderr:
            if found := re.search(r"Listening on (\S+)", line):
                self.url = "http://" + found[1]
                break

    def tearDown(self):
        self.server.kill()
        self.server.wait()
        self.server.stderr.close()

    def curl(self, path, body=None, *options):
        data = ["-d", json.dumps(body)] if body is not None else []
        return subprocess.run(["curl", "-sS", "--max-time", "300", *options, *data, self.url + path],
                              capture_output=True, text=True, check=True).stdout

    def status(self, path, body=None, *options):
        return self.curl(path, body, "-o", "/dev/null", "-w", "%{http_code}", *options)

    def generate(self, prompt, **more):
        return json.loads(self.curl("/api/generate", {"model": "demo", "prompt": prompt, "stream": False,
                                                      "options": {"temperature": 0}} | more))

    def chat(self, text, **more):
        body = {"model": "demo", "messages": [{"role": "user", "content": text}], "options": {"temperature": 0}}
        return [json.loads(line) for line in self.curl("/api/chat", body | more).splitlines()]

    def test_root_version_and_tags(self):
        self.assertEqual(self.curl("/"), "Ollama is running")
        self.assertIn("version", json.loads(self.curl("/api/version")))
        self.assertIn("demo:latest", [m["name"] for m in json.loads(self.curl("/api/tags"))["models"]])

    def test_whole_and_streamed_answers_are_the_same(self):
        whole = self.generate("What is the capital of France?")
        self.assertIn("Paris", whole["response"])
        pieces = self.chat("What is the capital of France?")
        self.assertGreater(len(pieces), 3)
        self.assertEqual("".join(p["message"]["content"] for p in pieces), whole["response"])
        self.assertEqual(pieces[-1]["done_reason"], "stop")

    def test_all_dialects_give_the_same_answer(self):
        question = [{"role": "user", "content": "What is the capital of France?"}]
        ask = {"model": "demo", "messages": question, "temperature": 0}
        expected = self.generate("What is the capital of France?")["response"]
        chat = json.loads(self.curl("/v1/chat/completions", ask))
        self.assertEqual(chat["choices"][0]["message"]["content"], expected)
        message = json.loads(self.curl("/v1/messages?beta=true", ask | {"max_tokens": 50}))
        self.assertEqual(message["content"][0]["text"], expected)
        count = json.loads(self.curl("/v1/messages/count_tokens", ask))
        self.assertEqual(count["input_tokens"], chat["usage"]["prompt_tokens"])
        response = json.loads(self.curl("/v1/responses", {"model": "demo", "input": question, "temperature": 0}))
        self.assertEqual(response["output"][0]["content"][0]["text"], expected)
        again = json.loads(self.curl("/v1/chat/completions", ask))["usage"]
        self.assertGreater(again["prompt_tokens"], again["prompt_tokens_details"]["cached_tokens"])
        self.assertEqual(again["prompt_tokens"], chat["usage"]["prompt_tokens"])

    def test_prompts_that_are_too_long_are_refused_before_a_stream_begins(self):
        # What Claude Code and agents of OpenAI's look for before they shorten a conversation.
        ask = {"model": "demo", "max_tokens": 32000, "stream": True,
               "messages": [{"role": "user", "content": "word " * 3000}]}
        self.assertEqual(self.status("/v1/messages", ask), "400")
        self.assertRegex(json.loads(self.curl("/v1/messages", ask))["error"]["message"],
                         r"^prompt is too long: \d+ tokens > \d+ maximum$")
        self.assertEqual(json.loads(self.curl("/v1/chat/completions", ask))["error"]["code"], "context_length_exceeded")

    def test_tools_are_called(self):
        answer = self.chat("What is the weather in Oslo?", tools=[WEATHER], stream=False)[0]
        call = answer["message"]["tool_calls"][0]["function"]
        self.assertEqual((call["name"], call["arguments"]), ("get_weather", {"city": "Oslo"}))

    def test_arguments_are_held_to_the_schema(self):
        cities = {"type": "function", "function": WEATHER["function"] | {"parameters": {
            "type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}}}
        answer = self.chat("What is the weather in Oslo?", tools=[cities], stream=False)[0]
        call = answer["message"]["tool_calls"][0]["function"]
        self.assertIn(call["arguments"]["city"], ["Rome", "Paris"])

    def test_a_call_can_be_demanded(self):
        zones = {"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"]}
        time_tool = {"type": "function", "function": {"name": "get_time", "description": "x", "parameters": zones}}

        def message(choice):
            body = {"model": "demo", "temperature": 0, "max_tokens": 100, "tools": [WEATHER, time_tool],
                    "tool_choice": choice, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
            return json.loads(self.curl("/v1/chat/completions", body))["choices"][0]["message"]

        self.assertIn("Paris", message("auto")["content"])
        self.assertEqual(len(message("required")["tool_calls"]), 1)
        call = message({"type": "function", "function": {"name": "get_time"}})["tool_calls"][0]["function"]
        self.assertEqual(call["name"], "get_time")
        self.assertIn(json.loads(call["arguments"])["zone"], ["UTC", "CET"])

    def test_loaded_models_are_shown_and_unloaded(self):
        self.generate("Hello")
        self.assertEqual(json.loads(self.curl("/api/ps"))["models"][0]["name"], "demo:latest")
        self.curl("/api/generate", {"model": "demo", "keep_alive": 0})
        deadline = time.monotonic() + 60
        while json.loads(self.curl("/api/ps"))["models"] and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(json.loads(self.curl("/api/ps")), {"models": []})

    def test_strangers_and_unknown_models_are_refused(self):
        self.assertEqual(self.status("/api/generate", {"model": "nobody", "prompt": "x"}), "404")
        self.assertEqual(self.status("/api/tags", None, "-H", "Host: evil.example"), "403")
        self.assertEqual(self.status("/api/tags", None, "-H", "Origin: http://evil.example"), "403")
        self.assertEqual(self.status("/api/tags", None, "-H", "Origin: http://localhost:3000"), "200")
        self.assertIn("nobody answers", self.curl("/api/pull", {"model": "127.0.0.1:1/library/x"}))
        self.assertEqual(self.status("/api/pull", {"model": "a/b/c/d", "stream": False}), "400")

    def test_parallel_answers_are_those_given_alone(self):
        prompts = ["What is the capital of France?", "What is the capital of Italy?"]
        alone = [self.generate(p)["response"] for p in prompts]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            self.assertEqual([r["response"] for r in pool.map(self.generate, prompts)], alone)

    def test_terminates_with_success(self):
        self.generate("Hello")
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
