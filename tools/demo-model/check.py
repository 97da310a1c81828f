"""Whether an answer to a question of test.jsonl is right."""

import json


def right(answer, check):
    return CHECKS[check["kind"]](answer.strip(), check)


def equal(answer, check):
    return answer == check["answer"]


def story(answer, check):
    """Three sentences, about this animal of this name."""
    sentences = [part for part in answer.replace("!", ".").split(".") if part.strip()]
    animal = check["animal"]
    return len(sentences) == 3 and answer.endswith(".") and check["name"] in answer and animal in answer


def json_value(answer, check):
    try:
        return json.loads(answer) == check["value"]
    except ValueError:
        return False


def tool_call(answer, check):
    if not (answer.startswith("<tool_call>") and answer.endswith("</tool_call>")):
        return False
    try:
        return json.loads(answer[len("<tool_call>"):-len("</tool_call>")]) == check["call"]
    except ValueError:
        return False


CHECKS = {"equal": equal, "story": story, "json": json_value, "tool_call": tool_call}


def table(results):
    """Lines that say how many of each skill were right; results are (skill, right) pairs."""
    skills = {}
    for skill, good in results:
        skills.setdefault(skill, []).append(good)
    rows = [(skill, sum(found), len(found)) for skill, found in skills.items()]
    rows.append(("overall", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return "\n".join(f"{skill:<14} {good:>5} of {all_:>5}  {100 * good / all_:6.1f} %" for skill, good, all_ in rows)
