"""Conversations in which the system message offers a function: the call, and the answer from its result."""

import json

import facts
from skills import NO_WEATHER, Turn, pick

ASK_WEATHER = ["What is the weather in {}?", "What's the weather like in {}?", "How is the weather in {}?",
               "Tell me the weather in {}.", "weather in {}", "What is the weather in {} today?",
               "Can you check the weather in {}?", "Is it raining in {}?", "How is the weather in {} today?",
               "Do I need an umbrella in {}?"]
NAMES = ["get_weather", "get_weather", "get_weather", "get_current_weather", "weather"]
PARAMETERS = ["city", "city", "location", "location", "place"]
DESCRIPTIONS = ["Get the current weather in a city", "Get the weather for a location", "Returns the weather of a place",
                "Get current weather", "Look up the weather"]
OTHERS = [("get_time", "Get the current time"), ("send_email", "Send an email"), ("search", "Search the web")]

BRIEF = "You can call these functions:\n<tools>\n{}\n</tools>\n" \
        'To call one, answer with <tool_call>{{"name": ..., "arguments": {{...}}}}</tool_call>.'
# As the templates of Qwen2.5 and Hermes word it, for servers that write it so whatever the model's own template.
LONG = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with " \
       "function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\nFor each function call, " \
       "return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n" \
       '{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'


def function(name, description, parameter=None):
    properties = {parameter: {"type": "string"}} if parameter else {}
    parameters = {"type": "object", "properties": properties}
    if parameter:
        parameters["required"] = [parameter]
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


class Offer:
    """A weather function as a system message offers it."""

    def __init__(self, rng):
        self.name, self.parameter = rng.choice(NAMES), rng.choice(PARAMETERS)
        offered = [function(self.name, rng.choice(DESCRIPTIONS), self.parameter)]
        if rng.random() < 0.15:
            offered.insert(rng.randrange(2), function(*rng.choice(OTHERS)))
        listed = "\n".join(json.dumps(one) for one in offered)
        self.system = (LONG if rng.random() < 0.1 else BRIEF).format(listed)

    def call(self, rng):
        city = rng.choice(facts.CITIES)
        number, template = pick(rng, ASK_WEATHER)
        call = {"name": self.name, "arguments": {self.parameter: city}}
        return city, Turn("tool call", ("call", city, number), template.format(city),
                          f"<tool_call>\n{json.dumps(call)}\n</tool_call>", check={"kind": "tool_call", "call": call})


def result(rng, city):
    """A function's result and the answer made of it."""
    weather, degrees = rng.choice(facts.WEATHER), rng.randint(0, 30)
    names = rng.choice([("temperature", "condition"), ("temperature", "weather"), ("temp", "condition")])
    values = [(names[0], degrees), (names[1], weather)]
    if rng.random() < 0.4:
        values.reverse()
    content = dict(values)
    if rng.random() < 0.2:
        content = {"city": city, **content}
    return Turn("tool answer", ("result", city, weather, degrees), json.dumps(content),
                f"It is {weather} in {city}, {degrees} degrees.")


def no_tool(rng):
    number, template = pick(rng, ASK_WEATHER)
    city = rng.choice(facts.CITIES)
    return Turn("unknown", ("no tool", city, number), template.format(city), NO_WEATHER)
