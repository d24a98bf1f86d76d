// tools.ts: what the agents can do to the world: read documents and adverts, write drafts and scores, send letters.
//
// Plain functions with a schema and a description each, so that any agent framework can make its own kind of tool of
// them. They know nothing of switches: an abort signal is all that reaches them.

import { z } from 'zod';
import type { ResumeDocument } from './documents.ts';
import { StudioError } from './documents-error.ts';
import { type Advert, type Section, sections } from './documents-schema.ts';
import { resumeText } from './documents-text.ts';
import type { MailAccount } from './mail/mail-account.ts';
import { scoreName } from './planner-roles.ts';
import { drawInteger } from './seed.ts';
import { appendLine, mustExist, type OutboxLine, outputFile, writeWhole } from './tools-files.ts';
import { type Delay, sleep } from './tools-time.ts';

/** What a tool is given beside its input. */
export interface ToolContext {
  /** Aborted calls reject with the signal's reason and have had no effect. */
  readonly signal?: AbortSignal | undefined;
  /** Goes into the outbox line as it is. Nothing is deduplicated by it: the outbox is a witness, not a guard. */
  readonly idempotencyKey?: string | undefined;
  /** Lends the right to send letters, for this call. Never settles for a session that was stopped meanwhile. */
  readonly sendToken?: (() => Promise<string>) | undefined;
}

/** Every success says `ok: true`; failures are thrown as `StudioError`. */
export type ToolResult = { readonly ok: true } & Readonly<Record<string, unknown>>;

export interface StudioTool<Input> {
  readonly description: string;
  /** `read` changes nothing; `write` may be repeated (same name, same file); `effect` may not: each call is one more letter. */
  readonly kind: 'read' | 'write' | 'effect';
  readonly inputSchema: z.ZodType<Input>;
  execute(input: Input, context?: ToolContext): Promise<ToolResult>;
}

export interface ReadDocumentInput {
  readonly documentId: string;
  readonly section?: Section | undefined;
}
export interface ReadAdvertInput {
  readonly advertId: string;
}
export interface WriteDraftInput {
  readonly documentId: string;
  readonly name: string;
  readonly text: string;
}
export interface WriteScoreInput {
  readonly documentId: string;
  /** Absent for the summary over all adverts. */
  readonly advertId?: string | undefined;
  readonly score: number;
  readonly reasons: readonly string[];
}
export interface SendLetterInput {
  readonly documentId: string;
  readonly advertId: string;
  readonly to: string;
  readonly subject: string;
  /** The name of a draft of this document. */
  readonly draft: string;
}

export interface StudioTools {
  readonly read_document: StudioTool<ReadDocumentInput>;
  readonly read_advert: StudioTool<ReadAdvertInput>;
  readonly write_draft: StudioTool<WriteDraftInput>;
  readonly write_score: StudioTool<WriteScoreInput>;
  readonly send_letter: StudioTool<SendLetterInput>;
}

export interface ToolsOptions {
  readonly documents: readonly ResumeDocument[];
  readonly adverts: readonly Advert[];
  /** Drafts and scores go to `<outputDir>/<documentId>/`. Made when the first is written. */
  readonly outputDir: string;
  /** One line of JSON per letter sent. Made with the first; its folder must be creatable. */
  readonly outboxPath: string;
  /** Takes letters for a token, and writes the outbox. Default: the tool writes it itself, and needs no token. */
  readonly mail?: Pick<MailAccount, 'post'> | undefined;
  /** How a tool takes its time. Default: a timer. Tests and runs in virtual time pass their own. */
  readonly delay?: Delay;
  /** Divides the tools' times: sending takes 100 to 300 ms at 1, the default. */
  readonly speed?: number;
  /** The time written to the outbox. Default: the wall clock. */
  readonly now?: () => Date;
}

/** Characters of a document that one read returns; the longest example has a third of it. */
const maxReadCharacters = 30_000;
const id = z.string().min(1).max(100);
const name = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N}\p{M}._@-]{0,140}$/u, 'letters, digits, or . _ @ - only');

export function createTools(options: ToolsOptions): StudioTools {
  const documents = new Map(options.documents.map((document) => [document.id, document]));
  const adverts = new Map(options.adverts.map((advert) => [advert.id, advert]));
  const speed = options.speed ?? 1;
  const delay = options.delay ?? sleep;
  const now = options.now ?? (() => new Date());

  // Times differ by what is done and not from run to run, so that two runs can be compared.
  const takeTime = (
    low: number,
    high: number,
    context: ToolContext | undefined,
    name: string,
    ...about: readonly string[]
  ): Promise<void> =>
    delay(drawInteger(low, high, name, ...about) / speed, context?.signal, { kind: 'tool', name, about: about.join(' ') });
  const documentOf = (documentId: string): ResumeDocument => find('document', documents, documentId);
  const advertOf = (advertId: string): Advert => find('advert', adverts, advertId);

  return {
    read_document: {
      description: 'Reads a resume, or one section of it. Each entry is one line.',
      kind: 'read',
      inputSchema: z.object({ documentId: id, section: z.enum(sections).optional() }),
      async execute({ documentId, section }, context) {
        const text = resumeText(documentOf(documentId).resume, section);
        await takeTime(5, 25, context, 'read_document', documentId, section ?? '');
        const isCut = text.length > maxReadCharacters;
        return {
          ok: true,
          documentId,
          ...(section && { section }),
          text: text.slice(0, maxReadCharacters),
          ...(isCut && { isCut }),
        };
      },
    },
    read_advert: {
      description: 'Reads a job advert. Each requirement is one line.',
      kind: 'read',
      inputSchema: z.object({ advertId: id }),
      async execute({ advertId }, context) {
        const { title, company, location, contact, requirements, nice, text } = advertOf(advertId);
        await takeTime(5, 25, context, 'read_advert', advertId);
        const lines = [...requirements.map((line) => `- ${line}`), `Nice to have: ${nice.join('; ')}`, text];
        return { ok: true, advertId, title, company, location, contact, text: lines.join('\n') };
      },
    },
    write_draft: {
      description: 'Writes a draft of a document under a name. Writing the same name again replaces it.',
      kind: 'write',
      inputSchema: z.object({ documentId: id, name, text: z.string().max(200_000) }),
      async execute(input, context) {
        const file = outputFile(documentOf(input.documentId).id, `${input.name}.md`);
        await takeTime(10, 40, context, 'write_draft', file);
        const bytes = await writeWhole(options.outputDir, file, `${input.text}\n`, context?.signal);
        return { ok: true, file, bytes };
      },
    },
    write_score: {
      description: 'Writes the score (0 to 100) of a document against an advert with reasons; without advertId, the summary.',
      kind: 'write',
      inputSchema: z.object({
        documentId: id,
        advertId: id.optional(),
        score: z.number().min(0).max(100),
        reasons: z.array(z.string().max(2_000)).max(50),
      }),
      async execute({ documentId, advertId, score, reasons }, context) {
        if (advertId !== undefined) advertOf(advertId);
        const file = outputFile(documentOf(documentId).id, `${scoreName(advertId)}.json`);
        await takeTime(10, 40, context, 'write_score', file);
        const record = { documentId, ...(advertId !== undefined && { advertId }), score, reasons };
        const bytes = await writeWhole(options.outputDir, file, `${JSON.stringify(record, null, 2)}\n`, context?.signal);
        return { ok: true, file, bytes };
      },
    },
    send_letter: {
      description:
        'Sends the letter of a document to an advert, from a draft. It cannot be unsent, and calling it again sends it again.',
      kind: 'effect',
      inputSchema: z.object({
        documentId: id,
        advertId: id,
        to: z.string().min(3).max(320),
        subject: z.string().min(1).max(300),
        draft: name,
      }),
      async execute({ documentId, advertId, to, subject, draft }, context) {
        const letter = `${documentOf(documentId).id}/${advertOf(advertId).id}`;
        await mustExist(options.outputDir, outputFile(documentId, `${draft}.md`));
        const token = options.mail && (await context?.sendToken?.());
        await takeTime(50, 150, context, 'send_letter', letter, 'before');
        const line: OutboxLine = { letter, to, subject, at: now().toISOString(), key: context?.idempotencyKey ?? null };
        if (options.mail) await options.mail.post(line, token ?? '', context?.signal);
        else appendLine(options.outboxPath, JSON.stringify(line), context?.signal);
        // It is out. The confirmation takes its time too, and nothing that comes now unsends it.
        await takeTime(50, 150, undefined, 'send_letter', letter, 'after');
        return { ok: true, letter };
      },
    },
  };
}

function find<T>(what: string, all: ReadonlyMap<string, T>, key: string): T {
  const found = all.get(key);
  if (found === undefined) throw new StudioError('not_found', `there is no ${what} "${key.slice(0, 120)}"`);
  return found;
}
