// planner-steps.ts: what each role does, step by step. A step is one reply: one tool call or two at once.
//
// A plan is a pure function of the seed, the task and what is known so far. Which calls it makes depends on seed and task
// alone (so that their outcome can be foretold, planner-expect.ts); what they say depends on what was read.

import type { Known, Where } from './planner-conversation.ts';
import type { Assignment, OrchestratorTask, SubTask, ToolName } from './planner-roles.ts';
import { claimFrom, entriesOf, letterDraft, meanPercent, sectionDraft, shorten, verdict } from './planner-words.ts';
import { draw, drawInteger, drawSome } from './seed.ts';

export interface PlannedCall {
  readonly tool: ToolName;
  /** The arguments that tell this call from others of its tool. */
  readonly where: Where;
  /** The arguments that are only content. */
  readonly content?: Readonly<Record<string, unknown>>;
  /** How often it may be tried. Once for what must not happen twice, else twice. */
  readonly tries: 1 | 2;
  /** Without it there is nothing to go on with. */
  readonly isRequired: boolean;
}

export interface Plan {
  readonly steps: readonly (readonly PlannedCall[])[];
  /** The last message. */
  readonly report: string;
}

export function planFor(seed: number, assignment: Assignment, known: Known): Plan {
  switch (assignment.role) {
    case 'orchestrator/resume-rewrite':
      return rewrite(seed, assignment.task, known);
    case 'orchestrator/cover-letter-draft':
      return apply(seed, assignment.task, known);
    case 'orchestrator/batch-scoring':
      return scoreAll(seed, assignment.task, known);
    case 'section-writer':
      return writeSection(seed, assignment.task, known);
    case 'advert-researcher':
      return research(seed, assignment.task, known);
    case 'letter-writer':
      return writeLetter(seed, assignment.task, known);
    case 'scorer':
      return score(seed, assignment.task, known);
    case 'fact-checker':
      return check(seed, assignment.task, known);
  }
}

function rewrite(seed: number, { documentId, sections }: OrchestratorTask, known: Known): Plan {
  const whole = read('read_document', { documentId });
  const chosen = drawSome(sections, drawInteger(2, 4, seed, 'sections', documentId), seed, 'section', documentId);
  const written = chosen.map((section) => delegate('delegate_section', { documentId, section }));
  const parts = written.map((call) => withoutChecks(known.text(call.tool, call.where)));
  const name = entriesOf(known.text(whole.tool, whole.where))[0] ?? documentId;
  const draft = write('write_draft', { documentId, name: 'resume' }, { text: [`# ${name}`, ...parts].join('\n\n') });
  return {
    steps: [[whole], ...pack(written, 3, seed, documentId), [draft]],
    report: `Report: rewrote ${chosen.join(', ') || 'nothing'} of ${documentId}, ${shorten(name, 80)}.`,
  };
}

function apply(seed: number, { documentId, adverts }: OrchestratorTask, known: Known): Plan {
  const chosen = drawSome(adverts, drawInteger(1, 2, seed, 'letters', documentId), seed, 'letter', documentId);
  const ids = chosen.map((advertId) => ({ documentId, advertId }));
  const reads = [read('read_document', { documentId }), ...chosen.map((advertId) => read('read_advert', { advertId }))];
  const jobOf = (advertId: string): string => {
    const [title, company] = ['title', 'company'].map((name) => known.field('read_advert', { advertId }, name));
    return title ? `${title} at ${company}` : advertId;
  };
  // A letter that could not be written is not sent, and one that was sent is never sent again, whatever the result said.
  const sent = ids
    .filter((where) => known.succeeded('delegate_letter', where))
    .map((where) => {
      const advert = { advertId: where.advertId };
      const title = known.field('read_advert', advert, 'title') || where.advertId;
      const to = known.field('read_advert', advert, 'contact');
      return {
        tool: 'send_letter',
        where,
        content: { to, subject: `Application: ${shorten(title, 120)}`, draft: `letter-${where.advertId}` },
        tries: 1,
        isRequired: false,
      } satisfies PlannedCall;
    });
  const outcome = ids.map(
    (where) => `${where.advertId} ${known.succeeded('send_letter', where) ? 'sent' : 'not known to be sent'}`,
  );
  return {
    steps: [
      ...pack(reads, 2, seed, `${documentId}/reads`),
      ids.map((where) => delegate('delegate_research', where)),
      ids.map((where) => delegate('delegate_letter', where, { notes: jobOf(where.advertId) })),
      ...pack(sent, 2, seed, `${documentId}/sends`),
    ],
    report: `Report: letters of ${documentId}: ${outcome.join(', ') || 'none'}.`,
  };
}

function scoreAll(seed: number, { documentId, adverts }: OrchestratorTask, known: Known): Plan {
  const chosen = drawSome(adverts, drawInteger(3, 6, seed, 'scores', documentId), seed, 'score', documentId);
  const scored = chosen.map((advertId) => delegate('delegate_score', { documentId, advertId }));
  const reports = chosen.map((advertId) => ({ advertId, report: known.text('delegate_score', { documentId, advertId }) }));
  const scores = reports.map(({ advertId, report }) => ({ advertId, score: meanPercent([report]) }));
  const best = scores.reduce((max, { score }) => Math.max(max, score), 0);
  const reasons = scores.map(({ advertId, score }) => `${advertId}: ${score}`);
  return {
    steps: [
      [read('read_document', { documentId })],
      ...pack(scored, 3, seed, documentId),
      [write('write_score', { documentId, advertId: undefined }, { score: best, reasons })],
    ],
    report: `Report: ${documentId} scored against ${chosen.length} adverts, best ${best} %: ${reasons.join(', ')}.`,
  };
}

function writeSection(seed: number, { documentId, section = 'work' }: SubTask, known: Known): Plan {
  const about = `${documentId}/${section}`;
  const source = read('read_document', { documentId, section });
  const text = known.text(source.tool, source.where);
  const checks = range(drawInteger(1, 2, seed, 'checks', about)).map((number) =>
    delegate('delegate_check', { documentId, section, claim: claimFrom(text, number, seed, about) }),
  );
  const reports = checks.map((call) => known.text(call.tool, call.where)).filter((report) => report !== '');
  const draft = sectionDraft(section, text, reports, seed, about);
  return {
    steps: [
      [source],
      ...pack(checks, 2, seed, about),
      [write('write_draft', { documentId, name: `section-${section}` }, { text: draft })],
    ],
    report: `Report: ${draft}`,
  };
}

function research(seed: number, { documentId, advertId = '' }: SubTask, known: Known): Plan {
  const about = `${documentId}/${advertId}/research`;
  const source = read('read_advert', { advertId });
  const claim = claimFrom(known.text(source.tool, source.where), 1, seed, about);
  const checked = delegate('delegate_check', { documentId, claim });
  return {
    steps: [[source], [checked]],
    report: `Report: ${known.field(source.tool, source.where, 'title')} at ${known.field(source.tool, source.where, 'company')} asks above all: ${claim} ${known.text(checked.tool, checked.where)}`,
  };
}

function writeLetter(seed: number, { documentId, advertId = '', notes = advertId }: SubTask, known: Known): Plan {
  const about = `${documentId}/${advertId}/letter`;
  const source = read('read_document', { documentId });
  const text = known.text(source.tool, source.where);
  const checked = delegate('delegate_check', { documentId, claim: claimFrom(text, 1, seed, about) });
  const draft = letterDraft(notes, text, known.text(checked.tool, checked.where), seed, about);
  return {
    steps: [[source], [checked], [write('write_draft', { documentId, name: `letter-${advertId}` }, { text: draft })]],
    report: `Report: the letter is the draft letter-${advertId}. ${shorten(draft, 300)}`,
  };
}

function score(seed: number, { documentId, advertId = '' }: SubTask, known: Known): Plan {
  const about = `${documentId}/${advertId}/score`;
  const source = read('read_advert', { advertId });
  const text = known.text(source.tool, source.where);
  const checks = range(drawInteger(1, 2, seed, 'checks', about)).map((number) =>
    delegate('delegate_check', { documentId, claim: claimFrom(text, number, seed, about) }),
  );
  const reports = checks.map((call) => known.text(call.tool, call.where)).filter((report) => report !== '');
  const percent = meanPercent(reports);
  const reasons = reports.map((report) => shorten(report, 300));
  return {
    steps: [
      [source],
      ...pack(checks, 2, seed, about),
      [write('write_score', { documentId, advertId }, { score: percent, reasons })],
    ],
    report: `Report: ${advertId} fits ${documentId} by ${percent} %.`,
  };
}

function check(seed: number, { documentId, section, claim = '' }: SubTask, known: Known): Plan {
  const source = read('read_document', section === undefined ? { documentId } : { documentId, section });
  // One checker in three also looks at who is talking, if that was not what it read anyway.
  const isThorough =
    section !== undefined && section !== 'basics' && draw(seed, 'thorough', documentId, claim.slice(0, 9), section) < 0.34;
  const reads = isThorough ? [source, read('read_document', { documentId, section: 'basics' })] : [source];
  const text = reads.map((call) => known.text(call.tool, call.where)).join('\n');
  return { steps: pack(reads, 2, seed, `${documentId}/${section ?? ''}/check`), report: verdict(claim, text) };
}

function read(tool: 'read_document' | 'read_advert', where: Where): PlannedCall {
  // A call for the whole document is told from one for a section by the absence of a section.
  const exact = tool === 'read_document' ? { section: undefined, ...where } : where;
  return { tool, where: exact, tries: 2, isRequired: true };
}

function delegate(tool: ToolName, where: Where, content: Readonly<Record<string, unknown>> = {}): PlannedCall {
  return { tool, where, content, tries: 2, isRequired: false };
}

function write(tool: 'write_draft' | 'write_score', where: Where, content: Readonly<Record<string, unknown>>): PlannedCall {
  return { tool, where, content, tries: 2, isRequired: true };
}

/** Puts the calls into at most `turns` steps of one or two, so that a conversation stays bounded. */
function pack(calls: readonly PlannedCall[], turns: number, seed: number, about: string): PlannedCall[][] {
  const steps: PlannedCall[][] = [];
  let next = 0;
  while (next < calls.length) {
    const isTight = calls.length - next > turns - steps.length;
    const size = isTight || draw(seed, 'pair', about, steps.length) < 0.4 ? 2 : 1;
    steps.push(calls.slice(next, next + size));
    next += size;
  }
  return steps;
}

/** A section as it goes into the resume: without the report's first word and without the notes of its checks. */
function withoutChecks(report: string): string {
  return report
    .replace(/^Report:\s*/, '')
    .replace(/^> .*\n?/gm, '')
    .trimEnd();
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
