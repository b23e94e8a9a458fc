/** What follows from the op table: its hash, docs/ops.md, and (in `native-ops.ts`) the native side. */

import { opTable, opTableHash } from "../../schemas/op-table.ts";
import type { OperandDeclaration } from "../../schemas/ops/define-op.ts";
import { ops } from "../../schemas/ops/index.ts";
import { type GeneratedFile, MARKDOWN_NOTICE, markdownTable } from "./generator.ts";
import { nativeOps } from "./native-ops.ts";

const INTRODUCTION = `# Ops

Everything that a plan can ask a kernel to do. Shapes are symbolic: B sequences of a micro-batch, S positions of a
sequence; the other letters are bound where they first appear. An operand marked \`+=\` can be added to instead of being
written. Each op is declared in one file of \`schemas/ops/\`; the planner, the verifier, the runtime and the native kernels
are checked against that declaration.
`;

export function generateOps(): GeneratedFile[] {
  const hash = opTableHash();
  return [
    {
      path: "schemas/generated/op-table.json",
      content: `${JSON.stringify({ op_table: hash, ops: opTable() }, null, 2)}\n`,
    },
    { path: "docs/ops.md", content: reference() },
    ...nativeOps(ops, hash),
  ];
}

function reference(): string {
  const sections = ops.map((op) => {
    const attributes = Object.entries(op.attributes);
    return [
      `## ${op.name}\n`,
      `${op.doc}\n`,
      `Source: ${op.source}.\n`,
      `${markdownTable(
        ["operand", "access", "shape", "dtypes", "meaning"],
        Object.entries(op.operands).map(([name, operand]) => [
          `\`${name}\``,
          accessOf(operand),
          `[${operand.shape.join(", ")}]`,
          operand.sameDTypeAs === undefined ? operand.dtypes.join(", ") : `of \`${operand.sameDTypeAs}\``,
          operand.doc,
        ]),
      )}\n`,
      ...(attributes.length === 0
        ? []
        : [
            `${markdownTable(
              ["attribute", "type", "meaning"],
              attributes.map(([name, { type, doc }]) => [`\`${name}\``, type, doc]),
            )}\n`,
          ]),
    ].join("\n");
  });
  return [MARKDOWN_NOTICE + INTRODUCTION, ...sections].join("\n");
}

function accessOf({ access, accumulable, optional }: OperandDeclaration): string {
  return [access, ...(accumulable ? ["+="] : []), ...(optional ? ["optional"] : [])].join(", ");
}
