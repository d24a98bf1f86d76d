// audit.ts: what an auditor asks for: the log of all processes as one list, and whether it is still what was written.

import { readFileSync } from 'node:fs';
import { type AuditAnchor, type AuditFinding, type AuditHead, verifyAudit } from '@offswitch/runtime';
import { type Command, type Done, done } from './command.ts';
import { CommandError, exit } from './failure.ts';
import { mustHaveBeenUsed } from './nothing-there.ts';
import type { Place } from './place.ts';
import { clean, count, moment, paint, table } from './print.ts';
import { isRecord, list, number, text } from './wire.ts';

type Entry = Readonly<Record<string, unknown>>;

/** Newest last, so that a terminal ends with what happened last. Lines that are no entries are counted, and are for `verify`. */
export async function audit(command: Command, limit: number): Promise<Done> {
  const chains = await command.place.auditChains();
  if (chains.length === 0) await mustHaveBeenUsed(command.place);
  let unread = chains.filter(({ damage }) => damage !== undefined).length;
  const entries: { readonly entry: Entry; readonly at: number }[] = [];
  for (const { lines } of chains) {
    let latest = 0;
    for (const line of lines) {
      const entry = entryIn(line);
      // Never before one that was written before it in its chain, whatever the clock said.
      latest = Math.max(latest, number(entry?.at) ?? 0);
      if (entry) entries.push({ entry, at: latest });
      else unread++;
    }
  }
  const shown = entries
    .sort((a, b) => a.at - b.at)
    .slice(-limit)
    .map(({ entry }) => entry);
  if (entries.length === 0) command.say(`nothing is in the audit log of ${clean(command.place.folder)}`);
  else {
    const rows = shown.map((one) => [
      moment(one.at),
      `${text(one.process) ?? '?'} ${number(one.n) ?? '?'}`,
      text(one.type) ?? '?',
      wordsOf(one),
      text(one.by) ?? '',
      text(one.reason) ?? '',
    ]);
    command.say(table([['at', 'entry', 'what', 'of', 'by', 'reason'], ...rows], '').trimEnd());
  }
  if (shown.length < entries.length) command.say(`${entries.length - shown.length} earlier; --limit shows more`);
  if (unread > 0)
    command.say(paint(command.io, 'red', `! ${count(unread, 'line')} cannot be read: offswitch audit verify says which`));
  return done({ entries: shown, unread });
}

interface Finding extends Partial<Omit<AuditFinding, 'what'>> {
  readonly what: AuditFinding['what'] | 'receipt-unreadable' | 'log-empty';
  readonly message: string;
}

/** Of a log that was taken away as a whole nothing is left that could name it, but the stops and receipts whose entries it should hold. */
async function emptyLog(place: Place, receipts: number): Promise<readonly Finding[]> {
  const stops = (await place.stops()).length;
  const known = [...(stops > 0 ? [count(stops, 'stop')] : []), ...(receipts > 0 ? [count(receipts, 'receipt')] : [])];
  if (known.length === 0) return [];
  const message = `nothing is in the audit log of ${place.folder}, which knows of ${known.join(' and ')}: it was taken away`;
  return [{ what: 'log-empty', message }];
}

/** `file`: heads that were kept somewhere else, as `audit verify --json` gave them. */
export async function auditVerify(command: Command, file: string | undefined): Promise<Done> {
  const { place, io } = command;
  const chains = await place.auditChains();
  if (chains.length === 0) await mustHaveBeenUsed(place);
  const besides: Finding[] = [];
  const receipts = await place.receipts((message) => besides.push({ what: 'receipt-unreadable', message }));
  const kept: AuditAnchor[] = [
    ...receipts.flatMap((one) => headsIn(one.audit).map((head) => ({ ...head, by: `the receipt ${one.id}` }))),
    ...(file === undefined ? [] : headsOf(file).map((head) => ({ ...head, by: file }))),
  ];
  const report = verifyAudit(chains, kept);
  if (chains.length === 0) besides.push(...(await emptyLog(place, receipts.length)));
  const findings: readonly Finding[] = [...report.findings, ...besides];
  for (const { process, what, message } of findings)
    command.say(paint(io, 'red', `✗ ${process === undefined ? '' : `chain ${clean(process)}: `}${what}: ${clean(message)}`));
  const entries = report.entries === 1 ? '1 entry' : `${report.entries} entries`;
  const isWhole = findings.length === 0;
  if (isWhole)
    command.say(
      chains.length === 0
        ? `nothing is in the audit log of ${clean(place.folder)}, and nothing was ever stopped there`
        : `✓ ${entries} in ${count(report.heads.length, 'chain')}, ${count(report.anchors, 'head')} compared: nothing is changed or missing`,
    );
  command.say(
    table(
      [['chain', 'entries', 'head'], ...report.heads.map(({ process, n, hash }) => [process, String(n), hash])],
      '',
    ).trimEnd(),
  );
  if (isWhole) command.say('Keep the heads where whoever can write the log cannot: offswitch audit verify --json > heads.json');
  return done({ ...report, findings }, isWhole ? exit.ok : exit.failed);
}

function entryIn(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function headsIn(value: unknown): AuditHead[] {
  return list(value).flatMap((item) => {
    const one = isRecord(item) ? item : {};
    const [process, n, hash] = [text(one.process), number(one.n), text(one.hash)];
    return process === undefined || n === undefined || hash === undefined ? [] : [{ process, n, hash }];
  });
}

function headsOf(file: string): AuditHead[] {
  let heads: AuditHead[] = [];
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    heads = headsIn(isRecord(value) ? value.heads : value);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing
      ? `there is no file ${clean(file)}`
      : `${clean(file)} cannot be read: ${clean(error instanceof Error ? error.message : String(error))}`;
    throw new CommandError('bad_heads', `${why}; it is written by: offswitch audit verify --json`, exit.usage, { cause: error });
  }
  if (heads.length === 0)
    throw new CommandError(
      'bad_heads',
      `${clean(file)} holds no heads; write it with: offswitch audit verify --json`,
      exit.usage,
    );
  return heads;
}

/** What an entry is about, in one cell. */
function wordsOf(one: Entry): string {
  switch (text(one.type)) {
    case 'opened':
      return `pid ${number(one.pid) ?? '?'}, names ${list(one.heads).length} of the other chains`;
    case 'stop-engaged':
    case 'stop-released':
      return `${text(one.stop) ?? '?'}${one.isLearned === true ? ' (learned from the store)' : ''}`;
    case 'stage':
      return `${text(one.stage) ?? '?'} of ${text(one.stop) ?? '?'}`;
    case 'mark':
      return `${text(one.side) ?? '?'} at ${number(one.n) ?? '?'}: ${text(one.stop) ?? '?'}`;
    case 'flip':
      return `${text(one.action) ?? '?'} ${text(one.switch) ?? '?'} ${text(one.subject) ?? ''} at ${text(one.source) ?? '?'}: ${text(one.outcome) ?? '?'}`;
    case 'resumed':
      return text(one.session) ?? '?';
    case 'resolved':
      return `${text(one.call) ?? '?'} of ${text(one.session) ?? '?'}: ${text(one.verdict) ?? '?'}`;
    case 'refused':
      return `${text(one.code) ?? '?'}${number(one.count) === undefined ? '' : `, ${number(one.count)} times`}: ${text(one.message) ?? ''}`;
    case 'takeover':
      return `${text(one.side) ?? '?'}: ${count(number(one.count) ?? 0, 'session')}`;
    case 'grant':
      return `${text(one.grant) ?? '?'} of ${text(one.session) ?? '?'} at ${text(one.broker) ?? '?'}: ${text(one.state) ?? '?'}`;
    case 'forensics':
      return `${text(one.session) ?? '?'} sha256 ${text(one.digest) ?? '?'}`;
    case 'dropped':
      return `${count(number(one.count) ?? 0, 'fact')} lost`;
    default:
      return '';
  }
}
