#!/usr/bin/python3
"""validate.py FILE: checks the texts of a file, a line {"schema": ..., "text": "..."} each, with python3-jsonschema, which
shares nothing with hearth. Says which are wrong; exits with 1 if any is, with 77 if there is no python3-jsonschema."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

wrong = count = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        case = json.loads(line)
        kind = jsonschema.validators.validator_for(case["schema"], default=jsonschema.Draft202012Validator)
        count += 1
        try:
            value = json.loads(case["text"])
            kind(case["schema"], format_checker=jsonschema.FormatChecker()).validate(value)
        except (ValueError, jsonschema.ValidationError) as problem:
            wrong += 1
            print(f"{case['text']!r} is not valid for {json.dumps(case['schema'])}: {str(problem).splitlines()[0]}")
print(f"{count} texts, {wrong} wrong")
sys.exit(wrong > 0)
