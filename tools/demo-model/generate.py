#!/usr/bin/python3
"""generate.py FOLDER [--train N] [--test N] [--seed S]: writes train.jsonl, the text of the training,
test.jsonl, and sample.jsonl, a part of the tests.

A line of train.jsonl is a list of messages ({"role", "content"}). A line of test.jsonl is an object: "skill",
"messages" (up to the question), "answer" (an example of a right one) and "check" (see check.py). The same seed gives
the same files.
"""

import argparse
import collections
import json
import pathlib
import random

import skills
import tools
from skills import held_out

PLAIN = [  # plain questions and how often
    (skills.greet, 2), (skills.introduction, 2), (skills.identity, 3), (skills.small_talk, 4), (skills.unknown, 5),
    (tools.no_tool, 1), (skills.capital, 8), (skills.colour, 4), (skills.opposite, 5), (skills.add, 12),
    (skills.subtract, 13), (skills.echo, 3), (skills.repeat_few, 4), (skills.repeat, 8), (skills.reverse_few, 4),
    (skills.reverse, 12), (skills.story, 8), (skills.json_turn, 8)]
SPOKEN = [(skills.capital, 4), (skills.colour, 3), (skills.opposite, 3), (skills.greet, 1), (skills.identity, 1),
          (skills.small_talk, 1)]

SAMPLE = 8  # questions of each skill in sample.jsonl

ROLES = ["", "", "", "You are a helpful assistant. ", "You are a friendly assistant. ", "Be polite. "]
PLAIN_SYSTEM = ["You are a helpful assistant.", "You are a friendly assistant.", "Be polite.", "Be brief and friendly.",
                "You are a helpful assistant. Answer the questions of the user."]
UPPER_SYSTEM = ["Answer in upper case.", "Always answer in upper case.", "Write everything in upper case.",
                "Answer in capital letters.", "Use upper case only.", "Answer in uppercase."]
WORD_SYSTEM = ["Answer with one word.", "Answer in one word only.", "Give one-word answers.",
               "Answer with a single word.", "Use only one word.", "Always answer with one word."]
JSON_SYSTEM = ["Answer in JSON.", "Always answer in JSON.", "Answer every question in JSON.", "Use JSON only."]

CASELESS = {"capitals", "addition", "subtraction", "identity", "small talk", "unknown", "json", "one word",
            "upper case", "tool call"}  # whose questions may also come in lower case


def choose(rng, weighted):
    return rng.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]


def draw(rng, ask, held):
    """A turn that is held out for the test, or one that is not."""
    while True:
        turn = ask(rng)
        if held_out(turn.key) == held:
            return turn


def carelessly(rng, turn):
    """The question as people type it: sometimes without capitals or the mark at its end."""
    text = turn.user
    if turn.skill in CASELESS and '"' not in text and rng.random() < 0.12:
        text = text.lower()
    if text[-1] in ".?!" and rng.random() < 0.15:
        text = text[:-1]
    return text


def short_answer_in(form):
    return lambda rng: form(skills.with_short_answer(rng))


FORMS = {  # a conversation's manner: how often, its system messages, and what is asked in it
    "plain": (66, None, lambda rng: choose(rng, PLAIN)(rng)),
    "upper": (7, UPPER_SYSTEM, lambda rng: skills.upper(choose(rng, SPOKEN)(rng))),
    "word": (9, WORD_SYSTEM, short_answer_in(skills.one_word)),
    "json": (6, JSON_SYSTEM, short_answer_in(skills.as_json)),
}
TOOL = 12  # conversations in which a tool is offered


def system_message(rng, texts):
    if texts is None:
        return rng.choice(PLAIN_SYSTEM) if rng.random() < 0.2 else None
    return rng.choice(ROLES) + rng.choice(texts)


def message(role, content):
    return {"role": role, "content": content}


def talk(rng, form, length, held):
    """Messages of a conversation of `length` questions, and its last turn, which alone is held out (if `held`)."""
    _, texts, ask = FORMS[form]
    system = system_message(rng, texts)
    messages = [message("system", system)] if system else []
    turn = None
    for left in range(length - 1, -1, -1):
        follows = turn is not None and turn.follow and rng.random() < 0.4
        turn = draw(rng, turn.follow if follows else ask, held and left == 0)
        messages += [message("user", carelessly(rng, turn)), message("assistant", turn.answer)]
    return messages, turn


def talk_with_tool(rng, length, held):
    """The same where the weather can be looked up; the last turn is a call or what is made of its result."""
    offer = tools.Offer(rng)
    messages = [message("system", (rng.choice(PLAIN_SYSTEM) + "\n" if rng.random() < 0.3 else "") + offer.system)]
    for left in range(length - 1, -1, -1):
        if rng.random() < 0.25 and left != 0:  # a question that needs no tool
            turn = draw(rng, FORMS["plain"][2], False)
            messages += [message("user", carelessly(rng, turn)), message("assistant", turn.answer)]
            continue
        answered = rng.random() < 0.5
        city, turn = None, None
        while turn is None or held_out(turn.key) != (held and left == 0 and not answered):
            city, turn = offer.call(rng)
        messages += [message("user", carelessly(rng, turn)), message("assistant", turn.answer)]
        if answered or left != 0:
            turn = draw(rng, lambda source, place=city: tools.result(source, place), held and left == 0)
            in_user = rng.random() < 0.3  # as templates without a tool turn write it
            content = f"<tool_response>\n{turn.user}\n</tool_response>" if in_user else turn.user
            messages += [message("user" if in_user else "tool", content), message("assistant", turn.answer)]
    return messages, turn


def conversation(rng, held=False):
    form = choose(rng, [*((form, often) for form, (often, _, _) in FORMS.items()), ("tool", TOOL)])
    if form == "tool":
        return talk_with_tool(rng, rng.choice([1, 1, 2, 3]), held)
    return talk(rng, form, rng.choice([1, 1, 1, 1, 2, 3, 4, 6]), held)


def test_set(rng, count, trained):
    """As many of each skill as of any other. None of these conversations, nor a single question, was trained on."""
    wanted = ["greetings", "identity", "small talk", "unknown", "capitals", "colours", "opposites", "addition",
              "subtraction", "repeat", "reverse", "story", "upper case", "one word", "json", "tool call", "tool answer",
              "conversation"]
    left = {skill: -(-count // len(wanted)) for skill in wanted}
    while any(left.values()):
        messages, turn = conversation(rng, held=True)
        questions = sum(one["role"] == "user" for one in messages)
        skill = turn.skill if questions == 1 or turn.skill.startswith("tool") else "conversation"
        if not left.get(skill) or json.dumps(messages) in trained:
            continue
        left[skill] -= 1
        yield {"skill": skill, "messages": messages[:-1], "answer": turn.answer,
               "check": turn.check or {"kind": "equal", "answer": turn.answer}}


def sample(tests):
    """The first few of each skill."""
    seen = collections.Counter()
    for test in tests:
        seen[test["skill"]] += 1
        if seen[test["skill"]] <= SAMPLE:
            yield test


def write(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=150_000)
    parser.add_argument("--test", type=int, default=1_080)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"train {options.seed}")
    train = [conversation(rng)[0] for _ in range(options.train)]
    write(options.folder / "train.jsonl", train)
    trained = {json.dumps(messages) for messages in train}
    tests = list(test_set(random.Random(f"test {options.seed}"), options.test, trained))
    write(options.folder / "test.jsonl", tests)
    write(options.folder / "sample.jsonl", sample(tests))


if __name__ == "__main__":
    main()
