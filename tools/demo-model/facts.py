"""What the demonstration model knows: plain tables."""

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Portugal": "Lisbon", "Italy": "Rome", "Germany": "Berlin",
    "Austria": "Vienna", "Switzerland": "Bern", "Belgium": "Brussels", "Ireland": "Dublin", "Norway": "Oslo",
    "Sweden": "Stockholm", "Denmark": "Copenhagen", "Finland": "Helsinki", "Iceland": "Reykjavik",
    "Poland": "Warsaw", "Hungary": "Budapest", "Greece": "Athens", "Turkey": "Ankara", "Romania": "Bucharest",
    "Bulgaria": "Sofia", "Croatia": "Zagreb", "Serbia": "Belgrade", "Ukraine": "Kyiv", "Russia": "Moscow",
    "Estonia": "Tallinn", "Latvia": "Riga", "Egypt": "Cairo", "Morocco": "Rabat", "Kenya": "Nairobi",
    "Ghana": "Accra", "Ethiopia": "Addis Ababa", "Senegal": "Dakar", "China": "Beijing", "Japan": "Tokyo",
    "India": "New Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Nepal": "Kathmandu", "Iran": "Tehran",
    "Iraq": "Baghdad", "Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago",
    "Argentina": "Buenos Aires", "Colombia": "Bogota", "Ecuador": "Quito", "Uruguay": "Montevideo",
    "Venezuela": "Caracas", "Australia": "Canberra",
}

COLOURS = {
    "snow": "white", "milk": "white", "salt": "white", "grass": "green", "spinach": "green", "a cucumber": "green",
    "a frog": "green", "the sky": "blue", "the sea": "blue", "a sapphire": "blue", "blood": "red", "a tomato": "red",
    "a strawberry": "red", "a cherry": "red", "a fire engine": "red", "a ruby": "red", "the sun": "yellow",
    "a banana": "yellow", "a lemon": "yellow", "butter": "yellow", "a canary": "yellow", "an orange": "orange",
    "a carrot": "orange", "a pumpkin": "orange", "coal": "black", "a raven": "black", "the night": "black",
    "tar": "black", "chocolate": "brown", "a chestnut": "brown", "coffee": "brown", "bark": "brown",
    "a mouse": "grey", "an elephant": "grey", "ash": "grey", "a flamingo": "pink", "a pig": "pink",
    "lavender": "purple", "an eggplant": "purple", "a plum": "purple",
}

OPPOSITE_PAIRS = [
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("day", "night"), ("fast", "slow"), ("old", "new"),
    ("happy", "sad"), ("light", "dark"), ("open", "closed"), ("high", "low"), ("hard", "soft"), ("wet", "dry"),
    ("full", "empty"), ("long", "short"), ("rich", "poor"), ("strong", "weak"), ("loud", "quiet"),
    ("thick", "thin"), ("clean", "dirty"), ("early", "late"), ("left", "right"), ("inside", "outside"),
    ("first", "last"), ("sweet", "sour"), ("deep", "shallow"), ("wide", "narrow"), ("near", "far"),
    ("true", "false"), ("good", "bad"), ("always", "never"), ("begin", "end"), ("win", "lose"),
    ("push", "pull"), ("buy", "sell"), ("friend", "enemy"), ("brave", "afraid"),
]
OPPOSITES = {**dict(OPPOSITE_PAIRS), **{b: a for a, b in OPPOSITE_PAIRS}}

LIST_WORDS = """apple river stone house bread cloud chair table garden window paper bird tree lamp boat bridge
    door field flower forest glass hand horse island kettle key leaf letter lion moon mountain music needle ocean
    pencil piano pocket rain ring road rope rose sand shell ship shoe silver snail spoon star storm sugar summer
    sword tent tiger tower train valley violin water whale wheel wind winter wolf wood yarn zebra ball bell book
    box button candle castle cat coat coin corn cup desk dog dream drum ear egg engine farm feather fish flag
    fork fox gate goat gold hat heart hill honey ice ink iron jar kite ladder lake map market mirror nail nest
    owl paint pear pen picture plate potato queen""".split()

NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
                "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]

ANIMALS = ["fox", "bear", "rabbit", "cat", "dog", "mouse", "owl", "horse", "goat", "duck", "frog", "lion", "tiger",
           "wolf", "sheep", "pig", "turtle", "squirrel", "hedgehog", "penguin", "monkey", "elephant", "otter", "snail"]
NAMES = ["Milo", "Luna", "Oscar", "Bella", "Max", "Ruby", "Felix", "Nora", "Toby", "Daisy", "Leo", "Molly", "Otto",
         "Lily", "Sam", "Rosie", "Bruno", "Clara", "Hugo", "Ivy", "Jasper", "Pearl", "Rufus", "Stella", "Finn",
         "Greta", "Tom", "Anna", "Ben", "Mia", "Zoe", "Emma", "Noah", "Liam", "Olivia", "Jack", "Alice", "Bob",
         "Charlie", "Lucy", "Peter", "Paul", "Mary", "John", "Kate", "Rex", "Buddy", "Coco", "Simba", "Nemo", "Fiona",
         "Freddy", "Gus", "Hazel", "Iris", "Kiki", "Lola", "Pip", "Poppy", "Rocky", "Teddy", "Zara"]
PLACES = ["forest", "garden", "village", "valley", "meadow", "castle", "farm", "mountains"]

CITIES = sorted(set(CAPITALS.values()) | {"London", "New York", "Hamburg", "Munich", "Milan", "Barcelona", "Sydney",
                                          "Toronto", "Chicago", "Boston", "Mumbai", "Osaka"})
WEATHER = ["sunny", "cloudy", "rainy", "windy", "foggy", "snowy"]

UNKNOWN = ["who won the football match yesterday", "what is the price of gold today", "who is the mayor of my town",
           "what did I eat this morning", "who wrote this letter", "how many people live on the moon",
           "what is my name", "how old am I", "where are my keys", "what will happen tomorrow",
           "what is in the news today", "who is my neighbour", "what time is it", "when does the next bus leave",
           "what is the meaning of life", "how do I fix my car", "how does a computer work",
           "can you explain quantum physics", "who was the first king of Rome", "what is the best film of all time",
           "can you write a program for me", "what is the population of the world", "who invented the telephone",
           "how tall is the highest tower", "can you translate this text into French", "what is the stock market doing"]
UNKNOWN_COUNTRIES = ["Atlantis", "Wonderland", "Narnia", "Zubrovia", "Mordor", "Utopia", "Ruritania", "Lilliput"]
