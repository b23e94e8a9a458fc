/**
 * What the dataset asks about: for each topic its facts, the ways to ask, the explanation, and how sure one can be.
 *
 * Confidence belongs to the topic: High where a definition or a record settles the answer, Medium where it changes with
 * time or depends on how one counts, Low where the sources disagree.
 */
import { countries } from "./facts/countries.ts";
import { abbreviations, books, dishes, instruments, inventions, landmarks, works } from "./facts/culture.ts";
import { animals, elements, groupTraits, quantities, young } from "./facts/nature.ts";
import type { Confidence } from "./reply.ts";

/** What is known of one subject within a topic. */
export interface TopicFact {
  /** What the question asks about; unique in its topic. */
  readonly subject: string;
  readonly answer: string;
  /** One sentence that holds the answer. */
  readonly explanation: string;
}

export interface Topic {
  readonly name: string;
  readonly confidence: Confidence;
  /** Ways to ask, with `{s}` for the subject; every topic has as many. */
  readonly phrasings: readonly string[];
  readonly facts: readonly TopicFact[];
}

export const PHRASINGS = 8;

export const topics: readonly Topic[] = [
  {
    name: "capital",
    confidence: "High",
    phrasings: [
      "What is the capital of {s}?",
      "Which city is the capital of {s}?",
      "Name the capital of {s}.",
      "Tell me the capital city of {s}.",
      "Do you know the capital of {s}?",
      "Which city serves as the capital of {s}?",
      "I am looking for the capital of {s}.",
      "Of all cities in {s}, which one is the capital?",
    ],
    facts: countries.map(({ country, capital, continent }) => ({
      subject: country,
      answer: capital,
      explanation: `${capital} is the capital of ${country}${continent && `, a country in ${continent}`}.`,
    })),
  },
  {
    name: "country of a capital",
    confidence: "High",
    phrasings: [
      "{s} is the capital of which country?",
      "Which country has {s} as its capital?",
      "Name the country whose capital is {s}.",
      "Of which country is {s} the capital?",
      "Which country chose {s} as its capital?",
      "The city of {s} is the capital of what country?",
      "Tell me which country has its capital in {s}.",
      "I am in {s}, a capital city. In which country am I?",
    ],
    facts: countries.map(({ country, capital }) => ({
      subject: capital,
      answer: country,
      explanation: `The city of ${capital} is the capital of ${country}.`,
    })),
  },
  {
    name: "continent",
    confidence: "High",
    phrasings: [
      "On which continent is {s}?",
      "Which continent is {s} part of?",
      "Where in the world is {s}?",
      "To which continent does {s} belong?",
      "Name the continent of {s}.",
      "In what part of the world do I find {s}?",
      "What continent is home to {s}?",
      "Tell me the continent where {s} lies.",
    ],
    facts: countries.map(({ country, capital, continent }) => ({
      subject: country,
      answer: continent,
      explanation: `${country} is a country in ${continent}${capital && ` with the capital ${capital}`}.`,
    })),
  },
  {
    name: "currency",
    confidence: "Medium",
    phrasings: [
      "What is the currency of {s}?",
      "Which currency is used in {s}?",
      "What money do people use in {s}?",
      "Name the currency of {s}.",
      "How do people pay in {s}?",
      "Which currency do I need for a trip to {s}?",
      "What is the money of {s} called?",
      "Tell me the currency of {s}.",
    ],
    facts: countries.map(({ country, currency }) => ({
      subject: country,
      answer: currency,
      explanation: `The currency of ${country} is the ${currency}, but a country can change its money.`,
    })),
  },
  {
    name: "language",
    confidence: "Medium",
    phrasings: [
      "Which language is spoken in {s}?",
      "What is the main language of {s}?",
      "Name the main official language of {s}.",
      "What language do most people speak in {s}?",
      "Which language should I learn for {s}?",
      "In what language are the laws of {s} written?",
      "Tell me the language of {s}.",
      "What do people speak in {s}?",
    ],
    facts: countries.map(({ country, language }) => ({
      subject: country,
      answer: language,
      explanation: `${language} is the main official language of ${country}, though not the only one heard there.`,
    })),
  },
  {
    name: "symbol of an element",
    confidence: "High",
    phrasings: [
      "What is the chemical symbol of {s}?",
      "Which symbol stands for {s}?",
      "How do chemists write {s}?",
      "Name the symbol of the element {s}.",
      "What is the symbol for {s}?",
      "Which letters stand for {s} in chemistry?",
      "Tell me the chemical symbol for {s}.",
      "How is {s} written in the periodic table?",
    ],
    facts: elements.map(({ element, symbol, kind }) => ({
      subject: element,
      answer: symbol,
      explanation: `${symbol} is the chemical symbol of ${element}, a ${kind} at room temperature.`,
    })),
  },
  {
    name: "element of a symbol",
    confidence: "High",
    phrasings: [
      "Which element has the symbol {s}?",
      "What does {s} mean in chemistry?",
      "Which element is written {s}?",
      "Name the element with the symbol {s}.",
      "What element does the symbol {s} stand for?",
      "In the periodic table, what is {s}?",
      "Tell me the element behind the symbol {s}.",
      "I see {s} in a formula. Which element is it?",
    ],
    facts: elements.map(({ element, symbol }) => ({
      subject: symbol,
      answer: element,
      explanation: `The symbol ${symbol} stands for the element ${element}.`,
    })),
  },
  {
    name: "group of an animal",
    confidence: "High",
    phrasings: [
      "To which group of animals does the {s} belong?",
      "What kind of animal is the {s}?",
      "Which group is the {s} part of?",
      "How do biologists classify the {s}?",
      "Name the group of animals that includes the {s}.",
      "In which class of animals is the {s}?",
      "Among which animals is the {s} counted?",
      "Tell me the group of the {s}.",
    ],
    facts: animals.map(({ animal, group }) => ({
      subject: animal,
      answer: group,
      explanation: `The ${animal} belongs to the ${group}, ${groupTraits[group]}.`,
    })),
  },
  {
    name: "young of an animal",
    confidence: "Medium",
    phrasings: [
      "What is a young {s} called?",
      "What do you call a baby {s}?",
      "Name the young of the {s}.",
      "Which word is used for a young {s}?",
      "What is the usual word for a baby {s}?",
      "How is a very young {s} named?",
      "Tell me the name for a young {s}.",
      "What is the offspring of a {s} called?",
    ],
    facts: young.map(({ animal, young: child }) => ({
      subject: animal,
      answer: child,
      explanation: `The usual word for a young ${animal} is ${child}, but other words exist.`,
    })),
  },
  {
    name: "unit of a quantity",
    confidence: "High",
    phrasings: [
      "What is the SI unit of {s}?",
      "In which unit is {s} measured?",
      "Which SI unit is used for {s}?",
      "Name the unit of {s}.",
      "How do physicists measure {s}?",
      "Which unit belongs to {s}?",
      "Tell me the SI unit for {s}.",
      "What unit should I use for {s}?",
    ],
    facts: quantities.map(({ quantity, unit }) => ({
      subject: quantity,
      answer: unit,
      explanation: `The ${unit} is the SI unit of ${quantity}.`,
    })),
  },
  {
    name: "author",
    confidence: "High",
    phrasings: [
      'Who wrote "{s}"?',
      'Who is the author of "{s}"?',
      'Name the author of "{s}".',
      'By whom was "{s}" written?',
      'Which author gave us "{s}"?',
      'Which writer do we thank for "{s}"?',
      'Tell me who wrote "{s}".',
      'I am reading "{s}". Who wrote it?',
    ],
    facts: books.map(({ title, author, kind }) => ({
      subject: title,
      answer: author,
      explanation: `${author} wrote the ${kind} "${title}".`,
    })),
  },
  {
    name: "artist",
    confidence: "High",
    phrasings: [
      'Who created "{s}"?',
      'Which artist made "{s}"?',
      'Name the artist behind "{s}".',
      'Whose work is "{s}"?',
      'By whom is "{s}"?',
      'Who is the creator of "{s}"?',
      'Tell me the artist of "{s}".',
      'To which artist do we owe "{s}"?',
    ],
    facts: works.map(({ title, maker, kind }) => ({
      subject: title,
      answer: maker,
      explanation: `${maker} created ${kind === "music" ? "the music of" : `the ${kind}`} "${title}".`,
    })),
  },
  {
    name: "inventor",
    confidence: "Low",
    phrasings: [
      "Who is credited with {s}?",
      "To whom do we owe {s}?",
      "Whose name is linked to {s}?",
      "Who gave the world {s}?",
      "Name the person usually credited with {s}.",
      "Who came first with {s}?",
      "Tell me who is behind {s}.",
      "Who gets the credit for {s}?",
    ],
    facts: inventions.map(({ invention, person }) => ({
      subject: invention,
      answer: person,
      explanation: `Credit for ${invention} usually goes to ${person}, but others have claims too.`,
    })),
  },
  {
    name: "city of a landmark",
    confidence: "High",
    phrasings: [
      "In which city is {s}?",
      "Where can I visit {s}?",
      "Which city is home to {s}?",
      "Name the city of {s}.",
      "Where does {s} stand?",
      "To which city must I travel to see {s}?",
      "Tell me the city where I find {s}.",
      "What city is famous for {s}?",
    ],
    facts: landmarks.map(({ landmark, city, country }) => ({
      subject: landmark,
      answer: city,
      explanation: `Visitors find ${landmark} in ${city}, a city in ${country}.`,
    })),
  },
  {
    name: "home of a dish",
    confidence: "Low",
    phrasings: [
      "Which country gave us {s}?",
      "What country is the home of {s}?",
      "Where was {s} first cooked?",
      "From which country comes the dish {s}?",
      "Name the country that is known for {s}.",
      "Whose national cooking includes {s}?",
      "Tell me the origin of {s}.",
      "In which country did {s} begin?",
    ],
    facts: dishes.map(({ dish, country }) => ({
      subject: dish,
      answer: country,
      explanation: `The home of ${dish} is usually said to be ${country}, but the origin of a dish is hard to prove.`,
    })),
  },
  {
    name: "abbreviation",
    confidence: "High",
    phrasings: [
      "What does {s} stand for?",
      "What is the meaning of {s}?",
      "What is {s} short for?",
      "Spell out the abbreviation {s}.",
      "Which words are behind the letters {s}?",
      "How is {s} written in full?",
      "Tell me what {s} means.",
      "I keep reading {s}. What is it in full?",
    ],
    facts: abbreviations.map(({ short, long }) => ({
      subject: short,
      answer: long,
      explanation: `The letters ${short} are short for ${long}.`,
    })),
  },
  {
    name: "family of an instrument",
    confidence: "Medium",
    phrasings: [
      "To which family of instruments does the {s} belong?",
      "Which instrument family includes the {s}?",
      "In which section of the orchestra would the {s} sit?",
      "What kind of instrument is the {s}?",
      "Name the instrument family of the {s}.",
      "How is the {s} classified in music?",
      "Where in a list of instruments do I find the {s}?",
      "Tell me the family of the {s}.",
    ],
    facts: instruments.map(({ instrument, family }) => ({
      subject: instrument,
      answer: family,
      explanation: `The ${instrument} is counted among the ${family}, though families can be drawn in other ways.`,
    })),
  },
];
