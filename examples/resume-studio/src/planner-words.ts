// planner-words.ts: sentences made of what the documents say. Nothing is invented: each quotes a line that was read.

import { draw, drawInteger } from './seed.ts';

/** The entries of a text as the tools return it: its lines that start with `- `. */
export function entriesOf(text: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : []));
}

/** Up to `max` characters, cut at a word, never inside a character. */
export function shorten(text: string, max: number): string {
  const characters = [...text];
  if (characters.length <= max) return text;
  const cut = characters.slice(0, max - 1).join('');
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), max >> 1))}…`;
}

/** The `number`th claim about a text: one of its entries, another for each number as far as there are others. */
export function claimFrom(text: string, number: number, seed: number, about: string): string {
  const entries = entriesOf(text);
  const first = drawInteger(0, Math.max(entries.length - 1, 0), seed, 'claim', about);
  const entry = entries[(first + number - 1) % Math.max(entries.length, 1)];
  return `Claim ${number}: ${shorten(entry ?? 'there is something to say', 300)}`;
}

/** How many in a hundred of the claim's words (three letters or more) stand in the text. */
export function support(claim: string, text: string): number {
  const words = wordsOf(claim.replace(/^Claim \d+: /, ''));
  if (words.length === 0) return 0;
  const there = new Set(wordsOf(text));
  return Math.round((100 * words.filter((word) => there.has(word)).length) / words.length);
}

function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? []).filter((word) => [...word].length > 2);
}

export function verdict(claim: string, text: string): string {
  const percent = support(claim, text);
  const word = percent >= 60 ? 'supported' : percent >= 25 ? 'partly supported' : 'not supported';
  return `Report: ${word}, ${percent} % of the claim's words stand in the document. ${shorten(claim, 160)}`;
}

/** The mean of the percentages that reports name; 0 where there is none. */
export function meanPercent(reports: readonly string[]): number {
  const found = reports.flatMap((report) => {
    const number = /(\d+) %/.exec(report)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return found.length === 0 ? 0 : Math.round(found.reduce((sum, number) => sum + number, 0) / found.length);
}

const openings = ['In short', 'What counts', 'The strongest line', 'To begin with', 'Put first'] as const;

/** A section in new order: the entry to lead with is drawn, the others follow as they stood. */
export function sectionDraft(section: string, text: string, reports: readonly string[], seed: number, about: string): string {
  const entries = entriesOf(text);
  const lead = drawInteger(0, Math.max(entries.length - 1, 0), seed, 'lead', about);
  const opening = openings[drawInteger(0, openings.length - 1, seed, 'opening', about)];
  const rest = entries.filter((_, index) => index !== lead);
  return [
    `# ${section}`,
    entries.length === 0 ? 'Nothing is said here.' : `${opening}: ${entries[lead]}`,
    ...rest.map((entry) => `- ${entry}`),
    ...reports.map((report) => `> ${shorten(report, 240)}`),
  ].join('\n');
}

export function letterDraft(job: string, text: string, report: string, seed: number, about: string): string {
  const entries = entriesOf(text).sort((a, b) => draw(seed, 'quote', about, a) - draw(seed, 'quote', about, b));
  return [
    'Dear reader,',
    `I apply for: ${shorten(job, 200)}. What you should know about me:`,
    ...entries.slice(0, 3).map((entry) => `- ${shorten(entry, 320)}`),
    `(checked: ${shorten(report || 'not checked', 200)})`,
    'Yours sincerely',
  ].join('\n');
}

const remarks = [
  'Let me look at what is there.',
  'Next I need this.',
  'That helps; going on.',
  'One step at a time.',
  'Before I write anything I want to see the source.',
  'The order of these does not matter, so I ask for them as they come.',
] as const;

/** What a model says beside its tool calls; some say nothing. */
export function remark(seed: number, about: string): string {
  if (draw(seed, 'silent', about) < 0.3) return '';
  return remarks[drawInteger(0, remarks.length - 1, seed, 'remark', about)] ?? '';
}
