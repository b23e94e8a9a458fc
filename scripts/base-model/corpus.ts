/**
 * Writes the text that the base model in assets/lema-mini is trained on, one JSON string a line:
 *
 *     tsx scripts/base-model/corpus.ts > corpus.jsonl
 *
 * Questions and answers in plain prose about the facts of `lema dataset build`, asked only in the ways that are not held
 * out. An optional first paragraph says in what manner to answer. Beside them: notes, and lines to copy, which acquaint
 * the model with every sign of the keyboard. No text holds a tag of the reply format or a part of one.
 */
import { allFacts, type Fact } from "../../data/reply/corpus.ts";
import { counterRandom, shuffle } from "../../schemas/counter-rng.ts";
import { invariant } from "../../schemas/diagnostic.ts";

const SEED = 7;
/** Each question is asked once a pass, in another manner and company. */
const PASSES = 4;
const TURNS_MOST = 3;
const COPIES = 1500;

/** What no text may hold. */
const TAG_PARTS = /<\||\|>|\[\/|LEMA|REPLY|(?:Answer|Explanation|Confidence):/;

interface Manner {
  /** First paragraphs that ask for it; an empty one is no paragraph. */
  readonly requests: readonly string[];
  readonly answer: (fact: Fact) => string;
}

const sure = ({ confidence }: Fact): string => `My confidence is ${confidence.toLowerCase()}.`;

/** The first manner is also the one of a question alone. */
const MANNERS: readonly Manner[] = [
  {
    requests: [
      "",
      "",
      "",
      "",
      "You are a helpful guide.",
      "You are a precise assistant.",
      "Answer in a full sentence.",
    ],
    answer: ({ explanation }) => explanation,
  },
  {
    requests: [
      "Answer in a few words.",
      "Give the answer and nothing else.",
      "You are an assistant of few words.",
    ],
    answer: ({ answer }) => answer,
  },
  {
    requests: [
      "Explain, and say how sure you are.",
      "You are a careful assistant.",
      "End with your confidence.",
    ],
    answer: (fact) => `${fact.explanation} ${sure(fact)}`,
  },
  {
    requests: [
      "Give the answer first, then an explanation.",
      "You are an assistant trained to be clear and precise.",
    ],
    answer: (fact) => `${fact.answer}\n${fact.explanation}\n${sure(fact)}`,
  },
];

const facts = allFacts();
const texts = [...conversations(), ...notes(), ...copies()];
for (const text of texts) invariant(!TAG_PARTS.test(text), `this text holds part of a tag: ${text}`);
process.stdout.write(`${texts.map((text) => JSON.stringify(text)).join("\n")}\n`);

/** Conversations of a few turns, as the tokenizer's chat template writes them; `</s>` ends each answer. */
function conversations(): string[] {
  const asked = facts.flatMap((fact) => fact.questions.map((question) => ({ fact, question })));
  const made: string[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const order = shuffle(asked.length, SEED, `order/${pass}`);
    const random = counterRandom(SEED, `manner/${pass}`);
    for (let at = 0, drawn = 0; at < order.length; ) {
      const pick = (choices: number): number => random.uint32(drawn++) % choices;
      const manner = MANNERS[pick(2) === 0 ? 0 : pick(MANNERS.length)]!;
      const request = manner.requests[pick(manner.requests.length)]!;
      const turns = 1 + pick(TURNS_MOST);
      const chosen = [...order.subarray(at, at + turns)].map((index) => asked[index]!);
      at += turns;
      const spoken = chosen.map(({ fact, question }) => `${question}\n${manner.answer(fact)}</s>`);
      made.push([...(request === "" ? [] : [request]), ...spoken].join("\n\n"));
    }
  }
  return made;
}

/** A few lines about a subject, such as `Peru` / `Capital: Lima`. */
function notes(): string[] {
  const bySubject = new Map<string, Fact[]>();
  for (const fact of facts) {
    const subject = fact.id.slice(fact.id.indexOf("/") + 1);
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), fact]);
  }
  return [...bySubject].map(([subject, known]) => {
    const lines = known.map(
      ({ topic, answer }) => `${topic.charAt(0).toUpperCase()}${topic.slice(1)}: ${answer}`,
    );
    return `${[`A note about ${subject}`, ...lines].join("\n")}</s>`;
  });
}

/** Words and signs in any order, said twice. */
function copies(): string[] {
  const words =
    "high medium low system user assistant answer explanation confidence text line sign list end".split(" ");
  const signs = [..."<>|[]/_:;.,-+*=#@!?(){}&%$^~'\"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  return Array.from({ length: COPIES }, (_, i) => {
    const random = counterRandom(SEED, `copy/${i}`);
    const parts = Array.from({ length: 4 + (random.uint32(0) % 6) }, (_, part) => {
      const draw = random.uint32(1 + part);
      const spaced = draw & 1 ? " " : "";
      const choice = draw >>> 1;
      return choice % 3 === 0
        ? spaced + words[(choice >>> 2) % words.length]!
        : spaced + signs[(choice >>> 2) % signs.length]!;
    });
    // A tag is never made, not even by chance.
    const line = parts.join("").trim().replaceAll("<|", "< ").replaceAll("|>", " >").replaceAll("[/", "[ ");
    return `Copy this line.\n${line}\n${line}</s>`;
  });
}
