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


class Table:
    """How many of each skill were right; results are (skill, right) pairs."""

    def __init__(self, results):
        self.skills = {}
        for skill, good in results:
            right, count = self.skills.get(skill, (0, 0))
            self.skills[skill] = (right + good, count + 1)

    def rates(self):
        """Per cent that were right, of each skill."""
        return [100 * right / count for right, count in self.skills.values()]

    def overall(self):
        return 100 * sum(right for right, _ in self.skills.values()) / sum(count for _, count in self.skills.values())

    def __str__(self):
        lines = [f"{skill:<14} {right:>5} of {count:>5}  {100 * right / count:6.1f} %"
                 for skill, (right, count) in sorted(self.skills.items())]
        return "\n".join([*lines, f"{'overall':<14} {'':>14}  {self.overall():6.1f} %"])
