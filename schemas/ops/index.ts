/** The op table: every op there is. The order fixes the op numbers of the native side. */
import { adamw } from "./adamw.ts";
import { add } from "./add.ts";
import { attention } from "./attention.ts";
import { attentionBackward } from "./attention-backward.ts";
import { attentionCached } from "./attention-cached.ts";
import { cacheAppend } from "./cache-append.ts";
import { convert } from "./convert.ts";
import { crossEntropyFinish } from "./cross-entropy-finish.ts";
import { crossEntropyTile } from "./cross-entropy-tile.ts";
import type { OpDeclaration } from "./define-op.ts";
import { embedding } from "./embedding.ts";
import { fill } from "./fill.ts";
import { gradNorm } from "./grad-norm.ts";
import { lastRow } from "./last-row.ts";
import { linear } from "./linear.ts";
import { linearGradInput } from "./linear-grad-input.ts";
import { linearGradWeight } from "./linear-grad-weight.ts";
import { reduceLoss } from "./reduce-loss.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rmsNormBackward } from "./rms-norm-backward.ts";
import { rope } from "./rope.ts";
import { ropeTable } from "./rope-table.ts";
import { squareSum } from "./square-sum.ts";
import { swiglu } from "./swiglu.ts";
import { swigluBackward } from "./swiglu-backward.ts";

const table = [
  adamw,
  add,
  attention,
  attentionBackward,
  attentionCached,
  cacheAppend,
  convert,
  crossEntropyFinish,
  crossEntropyTile,
  embedding,
  fill,
  gradNorm,
  lastRow,
  linear,
  linearGradInput,
  linearGradWeight,
  reduceLoss,
  rmsNorm,
  rmsNormBackward,
  rope,
  ropeTable,
  squareSum,
  swiglu,
  swigluBackward,
] as const;

type Declared = (typeof table)[number];
export type OpName = Declared["name"];
type DeclarationOf<Name extends OpName> = Extract<Declared, { name: Name }>;
export type OperandNames<Name extends OpName> = keyof DeclarationOf<Name>["operands"] & string;
export type AttributesOf<Name extends OpName> = Readonly<
  Record<keyof DeclarationOf<Name>["attributes"] & string, number>
>;

/** All ops in the order of their native numbers. */
export const ops: readonly OpDeclaration<OpName>[] = table;

const byName: ReadonlyMap<string, OpDeclaration<OpName>> = new Map(ops.map((op) => [op.name, op]));

/** The declaration of an op, or `undefined` when the name is not in the table. */
export function findOp(name: string): OpDeclaration<OpName> | undefined {
  return byName.get(name);
}

/** The declaration of an op that is known to exist. */
export function getOp(name: OpName): OpDeclaration<OpName> {
  return byName.get(name) as OpDeclaration<OpName>;
}
