/**
 * All facts with their questions. The corpus is the same for every seed; so is what is held out.
 *
 * Held out: of each fact's {@link PHRASINGS} questions one is reserved, chosen by a hash of the fact. No training
 * example and no text the base model has read contains a reserved question; but its fact is asked in the other ways, and
 * its phrasing is used for other facts. A model that answers it has learned the fact and the phrasing, not the line.
 */
import { counterRandom } from "../../schemas/counter-rng.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import type { Reply } from "./reply.ts";
import { PHRASINGS, type Topic, type TopicFact, topics } from "./topics.ts";
import { containsWords } from "./words.ts";

export interface Fact extends Reply {
  /** Such as `capital/Peru`; unique. */
  readonly id: string;
  readonly topic: string;
  /** Those that may be trained on. */
  readonly questions: readonly string[];
  /** The reserved one. */
  readonly heldOutQuestion: string;
}

/** Fixed for good: another value would move trained questions into the reserved ones. */
const RESERVING_SEED = 2024;

/** Every fact, in the order of the topics. */
export function allFacts(): Fact[] {
  return topics.flatMap((topic) => topic.facts.flatMap((fact) => askable(topic, fact)));
}

/** A fact with its questions; none when a field is missing or a question would give its own answer away. */
function askable(topic: Topic, { subject, answer, explanation }: TopicFact): Fact[] {
  invariant(topic.phrasings.length === PHRASINGS, `${topic.name} is asked in ${topic.phrasings.length} ways`);
  if (subject === "" || answer === "") return [];
  const questions = topic.phrasings.map((phrasing) => sentence(phrasing.replace("{s}", () => subject)));
  if (questions.some((question) => containsWords(question, answer))) return [];
  const id = `${topic.name}/${subject}`;
  const reserved = counterRandom(RESERVING_SEED, id).uint32(0) % PHRASINGS;
  return [
    {
      id,
      topic: topic.name,
      answer,
      explanation: sentence(explanation),
      confidence: topic.confidence,
      questions: questions.filter((_, i) => i !== reserved),
      heldOutQuestion: questions[reserved]!,
    },
  ];
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
