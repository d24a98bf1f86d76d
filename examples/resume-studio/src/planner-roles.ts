// planner-roles.ts: the words that agents and model share: roles, tools that delegate, prompts and task messages.
//
// An agent's program needs them to build its prompts, the included model server to recognise them. Between the two there
// is nothing but HTTP, so a hosted model can take the server's place.

import { z } from 'zod';
import type { ResumeDocument } from './documents.ts';
import { sectionsOf } from './documents.ts';
import { type Advert, type Section, sections } from './documents-schema.ts';

export const workflows = ['resume-rewrite', 'cover-letter-draft', 'batch-scoring'] as const;
export type Workflow = (typeof workflows)[number];

export const roles = [
  'orchestrator/resume-rewrite',
  'orchestrator/cover-letter-draft',
  'orchestrator/batch-scoring',
  'section-writer',
  'advert-researcher',
  'letter-writer',
  'scorer',
  'fact-checker',
] as const;
export type Role = (typeof roles)[number];

export type EffectTool = 'read_document' | 'read_advert' | 'write_draft' | 'write_score' | 'send_letter';
export type DelegateTool = 'delegate_section' | 'delegate_check' | 'delegate_research' | 'delegate_letter' | 'delegate_score';
export type ToolName = EffectTool | DelegateTool;

/** The most replies the included model gives in one conversation; an agent's own step limit should not be lower. */
export const maxReplies = 8;

/** What an orchestrator is asked to do. */
export interface OrchestratorTask {
  readonly documentId: string;
  readonly owner: string;
  /** The sections that have something in them. */
  readonly sections: readonly Section[];
  /** The ids of the adverts to choose from. */
  readonly adverts: readonly string[];
}

/** What a sub-agent is asked to do: exactly the arguments of the tool call that delegated to it. */
export interface SubTask {
  readonly documentId: string;
  readonly section?: Section | undefined;
  readonly advertId?: string | undefined;
  readonly claim?: string | undefined;
  /** What the sub-agent should know: for a letter, the job and where it is. */
  readonly notes?: string | undefined;
}

export type Task = OrchestratorTask | SubTask;

interface RoleSpec {
  /** 1 for an orchestrator, 2 for its sub-agents, 3 for theirs. */
  readonly depth: 1 | 2 | 3;
  readonly tools: readonly ToolName[];
  readonly brief: string;
}

const specs: Readonly<Record<Role, RoleSpec>> = {
  'orchestrator/resume-rewrite': {
    depth: 1,
    tools: ['read_document', 'delegate_section', 'write_draft'],
    brief:
      'Rewrite a resume. Read the document, delegate two to four of its sections, then write the whole as the draft named "resume", and report.',
  },
  'orchestrator/cover-letter-draft': {
    depth: 1,
    tools: ['read_document', 'read_advert', 'delegate_research', 'delegate_letter', 'send_letter'],
    brief:
      'Apply for one or two of the adverts. Read the document and each chosen advert, delegate the research and then the letter, send each letter exactly once (its draft is named "letter-<advertId>"), and report. Never send a letter again, even when sending reported an error.',
  },
  'orchestrator/batch-scoring': {
    depth: 1,
    tools: ['read_document', 'delegate_score', 'write_score'],
    brief:
      'Score a resume against three to six of the adverts. Read the document, delegate one score per advert, write the summary with write_score (without advertId), and report.',
  },
  'section-writer': {
    depth: 2,
    tools: ['read_document', 'delegate_check', 'write_draft'],
    brief:
      'Rewrite one section. Read it, have one or two claims checked, write the draft named "section-<section>", and report the new text.',
  },
  'advert-researcher': {
    depth: 2,
    tools: ['read_advert', 'delegate_check'],
    brief: 'Find what matters in an advert. Read it, have one requirement checked against the document, and report.',
  },
  'letter-writer': {
    depth: 2,
    tools: ['read_document', 'delegate_check', 'write_draft'],
    brief:
      'Write a cover letter. Read the document, have one claim checked, write the draft named "letter-<advertId>", and report.',
  },
  scorer: {
    depth: 2,
    tools: ['read_advert', 'delegate_check', 'write_score'],
    brief:
      'Score a resume against one advert, 0 to 100. Read the advert, have one or two requirements checked against the document, write the score, and report it.',
  },
  'fact-checker': {
    depth: 3,
    tools: ['read_document'],
    brief: 'Check one claim against a document. Read what it rests on and report whether the document supports it.',
  },
};

const delegates: Readonly<Record<DelegateTool, { readonly role: Role; readonly description: string }>> = {
  delegate_section: {
    role: 'section-writer',
    description: 'Has a section of the resume rewritten by a sub-agent (documentId, section).',
  },
  delegate_check: {
    role: 'fact-checker',
    description:
      'Has a claim checked against the document by a sub-agent (documentId, claim, optionally the section it rests on).',
  },
  delegate_research: {
    role: 'advert-researcher',
    description: 'Has an advert researched by a sub-agent (documentId, advertId).',
  },
  delegate_letter: {
    role: 'letter-writer',
    description: 'Has a cover letter written by a sub-agent (documentId, advertId, notes on the job).',
  },
  delegate_score: {
    role: 'scorer',
    description: 'Has the resume scored against an advert by a sub-agent (documentId, advertId).',
  },
};

export const delegateTools: readonly DelegateTool[] = Object.keys(delegates) as DelegateTool[];

/** Arguments of every delegating tool, and with them the sub-agent's task. */
export const subTaskSchema: z.ZodType<SubTask> = z.object({
  documentId: z.string().min(1).max(100),
  section: z.enum(sections).optional(),
  advertId: z.string().min(1).max(100).optional(),
  claim: z.string().max(2_000).optional(),
  notes: z.string().max(2_000).optional(),
});

const orchestratorTaskSchema: z.ZodType<OrchestratorTask> = z.object({
  documentId: z.string().min(1).max(100),
  owner: z.string(),
  sections: z.array(z.enum(sections)),
  adverts: z.array(z.string()),
});

export function isDelegate(tool: string): tool is DelegateTool {
  return Object.hasOwn(delegates, tool);
}

/** Who works for a delegating tool, and what a model is told about it. */
export function delegateOf(tool: DelegateTool): { readonly role: Role; readonly description: string } {
  return delegates[tool];
}

/** The tools an agent of this role is to be given. */
export function toolsOf(role: Role): readonly ToolName[] {
  return specs[role].tools;
}

/** How deep in its tree an agent of this role stands: 1, 2 or 3. */
export function depthOf(role: Role): 1 | 2 | 3 {
  return specs[role].depth;
}

export function orchestratorOf(workflow: Workflow): Role {
  return `orchestrator/${workflow}`;
}

export function orchestratorTask(document: ResumeDocument, adverts: readonly Advert[]): OrchestratorTask {
  return {
    documentId: document.id,
    owner: document.owner,
    sections: sectionsOf(document.resume),
    adverts: adverts.map(({ id }) => id),
  };
}

/** The file a score goes to: one per advert, and the summary. */
export function scoreName(advertId: string | undefined): string {
  return advertId === undefined ? 'scores' : `score-${advertId}`;
}

/** First line `role: <role>`; the rest tells any model how to work here. */
export function systemPrompt(role: Role): string {
  return [
    `role: ${role}`,
    specs[role].brief,
    'A tool result with "ok": true succeeded, and so did a sub-agent\'s report, which starts with "Report:". Anything else is an error: try that call once more, then go on without it.',
    'Say only what the document says. Start your last message with "Report:".',
  ].join('\n');
}

/** The user message: a sentence, and the task as JSON in a fenced block. */
export function taskMessage(role: Role, task: Task): string {
  return `Task for ${role}, document ${task.documentId}.\n\`\`\`json\n${JSON.stringify(task)}\n\`\`\``;
}

/** The role a system prompt names; undefined where it names none of ours. */
export function readRole(system: string): Role | undefined {
  const named = /^role: *(\S+)/.exec(system)?.[1];
  return roles.find((role) => role === named);
}

export type Assignment =
  | { readonly role: `orchestrator/${Workflow}`; readonly task: OrchestratorTask }
  | { readonly role: Exclude<Role, `orchestrator/${Workflow}`>; readonly task: SubTask };

/** The other way round: what a conversation's first two messages ask for; undefined where they are not ours. */
export function readAssignment(system: string, user: string): Assignment | undefined {
  const role = readRole(system);
  const json = /```json\n(.*?)\n```/s.exec(user)?.[1];
  if (role === undefined || json === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (isOrchestrator(role)) {
    const task = orchestratorTaskSchema.safeParse(value);
    return task.success ? { role, task: task.data } : undefined;
  }
  const task = subTaskSchema.safeParse(value);
  return task.success ? { role, task: task.data } : undefined;
}

function isOrchestrator(role: Role): role is `orchestrator/${Workflow}` {
  return role.startsWith('orchestrator/');
}
