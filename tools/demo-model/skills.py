"""The questions and answers that the demonstration model is trained on and tested with.

A skill is a function `ask(rng) -> Turn`. `Turn.key` names the combination of content and wording; whether a
combination is held out for the test depends on its key alone (held_out), so that it never occurs in training, in
whatever decoration (case, punctuation) or conversation.
"""

import json
import zlib
from dataclasses import dataclass, field

import facts


@dataclass
class Turn:
    skill: str
    key: tuple
    user: str
    answer: str
    check: dict = field(default_factory=dict)  # see check.py; default: the answer exactly
    short: str = ""  # the answer in one word, where there is one
    follow: object = None  # rng -> Turn: a question that only makes sense after this one


def held_out(key):
    return zlib.crc32(repr(key).encode()) % 8 == 0


def pick(rng, templates):
    """A template and its number."""
    number = rng.randrange(len(templates))
    return number, templates[number]


def capital_first(text):
    return text[0].upper() + text[1:]


# -- facts ----------------------------------------------------------------------------------------------------------

CAPITAL = ["What is the capital of {}?", "What's the capital of {}?", "Tell me the capital of {}.", "capital of {}",
           "Do you know the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.",
           "The capital of {} is?", "Can you tell me the capital of {}?", "What is the capital city of {}?",
           "Hi, what is the capital of {}?", "Please tell me the capital of {}."]
COUNTRY = ["{} is the capital of which country?", "Which country has the capital {}?",
           "Of which country is {} the capital?", "What country is {} the capital of?"]
AND_OF = ["And of {}?", "What about {}?", "And {}?"]


def capital_turn(kind, country, template, number):
    return Turn("capitals", (kind, country, number), template.format(country),
                f"The capital of {country} is {facts.CAPITALS[country]}.", short=facts.CAPITALS[country],
                follow=follow_capital)


def capital(rng):
    country = rng.choice(list(facts.CAPITALS))
    if rng.random() < 0.15:
        number, template = pick(rng, COUNTRY)
        city = facts.CAPITALS[country]
        return Turn("capitals", ("country", city, number), template.format(city),
                    f"{city} is the capital of {country}.", short=country)
    number, template = pick(rng, CAPITAL)
    return capital_turn("capital", country, template, number)


def follow_capital(rng):
    number, template = pick(rng, AND_OF)
    return capital_turn("follow", rng.choice(list(facts.CAPITALS)), template, number)


COLOUR = ["What colour is {}?", "What color is {}?", "Which colour does {} have?", "Tell me the colour of {}.",
          "What is the colour of {}?", "colour of {}", "Do you know what colour {} is?", "Which color is {}?"]


def colour_turn(kind, thing, template, number):
    return Turn("colours", (kind, thing, number), template.format(thing),
                f"{capital_first(thing)} is {facts.COLOURS[thing]}.", short=facts.COLOURS[thing], follow=follow_colour)


def colour(rng):
    number, template = pick(rng, COLOUR)
    return colour_turn("colour", rng.choice(list(facts.COLOURS)), template, number)


def follow_colour(rng):
    number, template = pick(rng, ["And {}?", "What about {}?"])
    return colour_turn("follow", rng.choice(list(facts.COLOURS)), template, number)


OPPOSITE = ["What is the opposite of {}?", "What's the opposite of {}?", "Tell me the opposite of {}.",
            "opposite of {}", "Give me the opposite of {}.", "Which word is the opposite of {}?",
            "Do you know the opposite of {}?", "The opposite of {} is?"]


def opposite_turn(kind, word, template, number):
    return Turn("opposites", (kind, word, number), template.format(word),
                f"The opposite of {word} is {facts.OPPOSITES[word]}.", short=facts.OPPOSITES[word],
                follow=follow_opposite)


def opposite(rng):
    number, template = pick(rng, OPPOSITE)
    return opposite_turn("opposite", rng.choice(list(facts.OPPOSITES)), template, number)


def follow_opposite(rng):
    number, template = pick(rng, ["And of {}?", "What about {}?"])
    return opposite_turn("follow", rng.choice(list(facts.OPPOSITES)), template, number)


# -- arithmetic -----------------------------------------------------------------------------------------------------

ADD = ["What is {} + {}?", "{} + {}", "{} + {} =", "How much is {} + {}?", "What is {} plus {}?", "Add {} and {}.",
       "Calculate {} + {}.", "I have {} apples and get {} more. How many apples do I have?",
       "What is the sum of {} and {}?", "{} plus {}"]
SUBTRACT = ["What is {} - {}?", "{} - {}", "{} - {} =", "How much is {} - {}?", "What is {} minus {}?",
            "Calculate {} - {}.", "{} minus {}", "What is the difference of {} and {}?"]


def add(rng):
    number, template = pick(rng, ADD)
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    return sum_turn("addition", "+", a, b, number, template, a + b, rng)


def subtract(rng):
    number, template = pick(rng, SUBTRACT)
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    if a < b and rng.random() < 0.7:
        a, b = b, a
    return sum_turn("subtraction", "-", a, b, number, template, a - b, rng)


def sum_turn(skill, sign, a, b, number, template, result, rng):
    in_words = rng.random() < 0.1 and sign not in template
    names = (facts.NUMBER_WORDS[a], facts.NUMBER_WORDS[b]) if in_words else (a, b)
    return Turn(skill, (skill, a, b, number), capital_first(template.format(*names)), f"{a} {sign} {b} = {result}.",
                short=str(result))


# -- word lists -----------------------------------------------------------------------------------------------------

REPEAT = ["Repeat these words: {}", "Repeat: {}", "Say these words again: {}", "Please repeat the list: {}",
          "Repeat after me: {}"]
REVERSE = ["Reverse these words: {}", "Reverse: {}", "Say these words in reverse order: {}",
           "Please reverse the list: {}", "Say these words backwards: {}"]


ANY_WORDS = list(dict.fromkeys([*facts.LIST_WORDS, *facts.COLOURS.values(), *facts.OPPOSITES, *facts.ANIMALS,
                                *facts.NUMBER_WORDS, *facts.NAMES, *facts.CAPITALS]))


def words_turn(rng, skill, templates, order, lengths=(2, 3, 3, 4, 4, 5)):
    words = rng.sample(ANY_WORDS if rng.random() < 0.3 else facts.LIST_WORDS, rng.choice(lengths))
    number, template = pick(rng, templates)
    between = " " if rng.random() < 0.15 else ", "
    return Turn(skill, (skill, *words), template.format(between.join(words)), ", ".join(words[::order]))


def repeat(rng):
    return words_turn(rng, "repeat", REPEAT, 1)


def reverse(rng):
    return words_turn(rng, "reverse", REVERSE, -1)


def repeat_few(rng):
    return words_turn(rng, "repeat", REPEAT, 1, (1, 2, 2, 3))


def reverse_few(rng):
    return words_turn(rng, "reverse", REVERSE, -1, (2, 2, 3))


def echo(rng):
    number, template = pick(rng, ["Say {}.", "Say the word {}.", "Repeat the word {}.", "Say {} again."])
    word = rng.choice(facts.LIST_WORDS)
    return Turn("repeat", ("echo", word, number), template.format(word), word)


# -- stories --------------------------------------------------------------------------------------------------------

STORY = ["Tell me a story about a {} named {}.", "Write a short story about a {} named {}.",
         "Tell a three-sentence story about a {} called {}.", "Can you tell me a story about a {} called {}?",
         "I want a story about {1} the {0}."]
BEGIN = ["Once upon a time, a {animal} named {name} lived in a {place}.",
         "{name} was a small {animal} who lived near a {place}.",
         "In a quiet {place} there lived a {animal} named {name}."]
MIDDLE = ["One day {name} found a {thing} and wanted to share it.",
          "One morning {name} met a {other} who had lost a {thing}.",
          "Every day {name} looked for a {thing}, but it was hard to find."]
END = ["In the evening {name} came home and was happy.", "From that day on they were good friends.",
       "At last {name} smiled and went to sleep under the stars."]
THINGS = ["key", "ball", "bell", "hat", "book", "kite", "flower", "lamp"]


def story(rng):
    animal, name = rng.choice(facts.ANIMALS), rng.choice(facts.NAMES)
    number, template = pick(rng, STORY)
    user = template.format(animal, name)
    slots = {"animal": animal, "name": name, "thing": rng.choice(THINGS), "place": rng.choice(facts.PLACES),
             "other": rng.choice([other for other in facts.ANIMALS if other != animal])}
    key = ("story", animal, name)
    if rng.random() < 0.3:
        user = user[:-1] + f" in a {slots['place']}{user[-1]}"
        key += (slots["place"],)
    text = " ".join(rng.choice(part).format(**slots) for part in (BEGIN, MIDDLE, END)).replace("a elephant", "an elephant")
    for vowel in ("owl", "elephant", "otter"):
        user, text = user.replace(f"a {vowel}", f"an {vowel}"), text.replace(f" a {vowel}", f" an {vowel}")
    return Turn("story", key, user, text, check={"kind": "story", "name": name, "animal": animal})


# -- talk -----------------------------------------------------------------------------------------------------------

OPENERS = ["", "Hi, ", "Hello, ", "Hey, ", "So, ", "OK, ", "Please, ", "Now, ", "Well, ", "One question: ",
           "I want to know: ", "Tell me, "]

GREETINGS = {"Hello": "Hello! How can I help you?", "Hi": "Hello! How can I help you?",
             "Hey": "Hello! How can I help you?", "Good morning": "Good morning! How can I help you?",
             "Good evening": "Good evening! How can I help you?", "Good day": "Good day! How can I help you?",
             "Good afternoon": "Good afternoon! How can I help you?", "Greetings": "Hello! How can I help you?",
             "Hi there": "Hello! How can I help you?", "Hello there": "Hello! How can I help you?"}
GREETED = ["", " hearth", " my friend", " computer", " model", " everybody", " you", " again"]
AFTER_GREETING = ["", "!", ".", ", nice to meet you.", ", are you there?", ", can you help me?", ", I am new here."]

SAYINGS = {  # question as it stands after an opener -> answer
    "identity": {
        "who are you?": "I am the demonstration model of hearth, a small language model.",
        "what are you?": "I am the demonstration model of hearth, a small language model.",
        "what is your name?": "I am the demonstration model of hearth, a small language model.",
        "introduce yourself.": "I am the demonstration model of hearth, a small language model.",
        "what model are you?": "I am the demonstration model of hearth, a small language model.",
        "tell me about yourself.": "I am the demonstration model of hearth, a small language model.",
        "are you a human?": "No, I am the demonstration model of hearth, a small language model.",
        "are you ChatGPT?": "No, I am the demonstration model of hearth, a small language model.",
        "who made you?": "The hearth project trained me from scratch on two processor cores.",
        "how were you made?": "The hearth project trained me from scratch on two processor cores.",
        "what is hearth?": "Hearth is a server that runs language models on your own machine.",
        "what does hearth do?": "Hearth is a server that runs language models on your own machine.",
    },
    "small talk": {
        "how are you?": "I am fine, thank you. How can I help you?",
        "how is it going?": "I am fine, thank you. How can I help you?",
        "thank you.": "You are welcome!",
        "thanks a lot!": "You are welcome!",
        "that was helpful.": "You are welcome!",
        "goodbye.": "Goodbye! Have a nice day.",
        "see you later.": "Goodbye! Have a nice day.",
        "I have to go.": "Goodbye! Have a nice day.",
        "what can you do?": "I know capitals, colours and opposites, I add and subtract, and I tell short stories.",
        "how can you help me?": "I know capitals, colours and opposites, I add and subtract, and I tell short stories.",
        "what do you know?": "I know capitals, colours and opposites, I add and subtract, and I tell short stories.",
        "tell me a joke.": "Why did the computer go to bed? It had to sleep.",
        "do you know a joke?": "Why did the computer go to bed? It had to sleep.",
        "you are great!": "Thank you, that is kind.",
        "I like you.": "Thank you, that is kind.",
        "you are wrong.": "I am sorry. I am only a small model and make mistakes.",
        "that is not right.": "I am sorry. I am only a small model and make mistakes.",
        "I am sad.": "I am sorry to hear that. I can tell you a story.",
        "I am bored.": "I can tell you a story.",
        "what is a dog?": "A dog is an animal.",
        "is a cat an animal?": "Yes, a cat is an animal.",
    },
}
DO_NOT_KNOW = "I do not know. I am only a small demonstration model."
NO_WEATHER = "I cannot look up the weather without a tool."


def greet(rng):
    greeting, greeted = rng.choice(list(GREETINGS)), rng.choice(GREETED)
    after = rng.choice(AFTER_GREETING)
    return Turn("greetings", ("greet", greeting, greeted, after), greeting + greeted + after, GREETINGS[greeting])


def introduction(rng):
    name = rng.choice(facts.NAMES)
    number, template = pick(rng, ["My name is {}.", "Hello, my name is {}.", "I am {}.", "Hi, I am {}."])
    return Turn("greetings", ("name", name, number), template.format(name), f"Hello {name}! How can I help you?")


def say(skill, rng):
    question = rng.choice(list(SAYINGS[skill]))
    opener = rng.choice(OPENERS)
    return Turn(skill, (skill, opener, question), capital_first(opener + question), SAYINGS[skill][question])


def identity(rng):
    return say("identity", rng)


def small_talk(rng):
    return say("small talk", rng)


ABOUT = ["What is a {}?", "Tell me about the {}.", "Explain {}.", "Why is there a {}?", "Where can I buy a {}?",
         "What is the opposite of {}?", "How do you make a {}?", "Who invented the {}?", "I like the {}.", "{}"]


def unknown(rng):
    if rng.random() < 0.3:
        word = rng.choice([word for word in facts.LIST_WORDS if word != "dog"])
        number, template = pick(rng, ABOUT)
        return Turn("unknown", ("about", word, number), capital_first(template.format(word)), DO_NOT_KNOW)
    if rng.random() < 0.25:
        number, template = pick(rng, CAPITAL)
        country = rng.choice(facts.UNKNOWN_COUNTRIES)
        return Turn("unknown", ("capital", country, number), template.format(country), DO_NOT_KNOW)
    if rng.random() < 0.25:
        a, b = rng.randint(50, 999), rng.randint(50, 999)
        number, template = pick(rng, ["What is {} * {}?", "{} + {}", "What is {} times {}?", "What is {} + {}?"])
        return Turn("unknown", ("numbers", a, b), template.format(a, b), DO_NOT_KNOW)
    opener, question = rng.choice(OPENERS), rng.choice(facts.UNKNOWN)
    return Turn("unknown", ("unknown", opener, question), capital_first(opener + question) + "?", DO_NOT_KNOW)


# -- answers in another form ----------------------------------------------------------------------------------------

def with_short_answer(rng):
    return rng.choices([capital, colour, opposite, add, subtract], [4, 2, 2, 2, 2])[0](rng)


def upper(turn):
    """The answer in upper case, as a system message asks."""
    return Turn("upper case", ("upper", *turn.key), turn.user, turn.answer.upper(), follow=wrapped(turn.follow, upper))


def one_word(turn):
    return Turn("one word", ("word", *turn.key), turn.user, turn.short, follow=wrapped(turn.follow, one_word))


def as_json(turn, name="answer", request=""):
    value = int(turn.short) if turn.short.lstrip("-").isdigit() else turn.short
    return Turn("json", ("json", *turn.key), turn.user + request, json.dumps({name: value}),
                check={"kind": "json", "value": {name: value}})


def wrapped(follow, form):
    return follow and (lambda rng: form(follow(rng)))


JSON_REQUESTS = ["Answer in JSON.", "Answer as JSON.", "Give me the answer in JSON.", "Reply in JSON only."]
JSON_KEYS = ["answer", "result", "value", "name", "word"]


def json_turn(rng):
    turn, request, name = with_short_answer(rng), rng.choice(JSON_REQUESTS), "answer"
    if turn.user[-1] not in ".?":
        turn.user += "."
    if rng.random() < 0.4:
        name = rng.choice(JSON_KEYS)
        request = f'{request[:-1]} with the key "{name}".'
    return as_json(turn, name, " " + request)
