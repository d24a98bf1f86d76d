// planner-expect.ts: what a complete run must leave behind, asked of the same plans that drive it. The oracle of the
// self-checking scenario.

import type { ResumeDocument } from './documents.ts';
import type { Advert } from './documents-schema.ts';
import { nothingYet } from './planner-conversation.ts';
import {
  type Assignment,
  delegateOf,
  depthOf,
  isDelegate,
  orchestratorTask,
  readAssignment,
  scoreName,
  subTaskSchema,
  systemPrompt,
  taskMessage,
  type Workflow,
  workflows,
} from './planner-roles.ts';
import { planFor } from './planner-steps.ts';

export interface ExpectedOutputs {
  /** Files under the output folder, `<document>/<name>.md`, sorted. */
  readonly drafts: readonly string[];
  /** Files under the output folder, `<document>/<name>.json`, sorted. */
  readonly scores: readonly string[];
  /** `<document>/<advert>`, each exactly one line of the outbox, sorted. */
  readonly letters: readonly string[];
  /** Agents that run, orchestrators and sub-agents together. */
  readonly sessions: number;
  /** Model replies of an undisturbed run. */
  readonly replies: number;
  /** Tool calls of an undisturbed run, delegations included. */
  readonly toolCalls: number;
}

/** What the workflows (all three by default) leave when each ran to its end over every document with the included model. */
export function expectedOutputs(
  seed: number,
  documents: readonly ResumeDocument[],
  adverts: readonly Advert[],
  only: readonly Workflow[] = workflows,
): ExpectedOutputs {
  const found = {
    drafts: new Set<string>(),
    scores: new Set<string>(),
    letters: new Set<string>(),
    sessions: 0,
    replies: 0,
    toolCalls: 0,
  };
  for (const document of documents) {
    for (const workflow of only)
      visit(seed, { role: `orchestrator/${workflow}`, task: orchestratorTask(document, adverts) }, found);
  }
  const { drafts, scores, letters, ...counts } = found;
  return { drafts: [...drafts].sort(), scores: [...scores].sort(), letters: [...letters].sort(), ...counts };
}

interface Found {
  readonly drafts: Set<string>;
  readonly scores: Set<string>;
  readonly letters: Set<string>;
  sessions: number;
  replies: number;
  toolCalls: number;
}

function visit(seed: number, assignment: Assignment, found: Found): void {
  const { steps } = planFor(seed, assignment, nothingYet);
  found.sessions += 1;
  found.replies += steps.length + 1;
  for (const { tool, where } of steps.flat()) {
    found.toolCalls += 1;
    if (isDelegate(tool)) {
      const { role } = delegateOf(tool);
      const sub = readAssignment(systemPrompt(role), taskMessage(role, subTaskSchema.parse(where)));
      if (sub !== undefined && depthOf(role) > depthOf(assignment.role)) visit(seed, sub, found);
    } else if (tool === 'write_draft') found.drafts.add(`${where.documentId}/${where.name}.md`);
    else if (tool === 'write_score') found.scores.add(`${where.documentId}/${scoreName(where.advertId)}.json`);
    else if (tool === 'send_letter') found.letters.add(`${where.documentId}/${where.advertId}`);
  }
}
