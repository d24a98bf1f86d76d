// compare-table.ts: the two fleets beside each other, as text.

import type { Counts } from './compare-count.ts';

export interface Side {
  readonly name: string;
  /** At depth 1, 2 and 3. */
  readonly after: readonly Counts[];
  readonly lastAfterMs: number;
}

const rows = ['orchestrators', 'their sub-agents', "the sub-agents' own"];
const headings = ['model calls', 'tool calls', 'letters'];

/** What each side started after the stop, per depth. */
export function compareTable(sides: readonly [Side, Side]): string {
  const sum = (after: readonly Counts[]): Counts => ({
    modelCalls: after.reduce((all, one) => all + one.modelCalls, 0),
    toolCalls: after.reduce((all, one) => all + one.toolCalls, 0),
    letters: after.reduce((all, one) => all + one.letters, 0),
  });
  const cells = ({ modelCalls, toolCalls, letters }: Counts): string[] => [modelCalls, toolCalls, letters].map(String);
  const line = (title: string, parts: readonly (readonly string[])[]): string =>
    [
      title.padEnd(26),
      ...parts.map((part) => part.map((text, index) => text.padStart(headings[index]!.length + 2)).join('')),
    ].join('   ');
  const width = headings.reduce((all, heading) => all + heading.length + 2, 0);
  const last = ({ lastAfterMs }: Side): string =>
    lastAfterMs === 0 ? 'nothing started' : `${(lastAfterMs / 1_000).toFixed(1)} s after the stop`;
  return [
    ['started after the stop'.padEnd(26), ...sides.map(({ name }) => name.padStart(width))].join('   '),
    line('by depth', [headings, headings]),
    ...rows.map((title, index) =>
      line(
        `${index + 1}  ${title}`,
        sides.map(({ after }) => cells(after[index]!)),
      ),
    ),
    line(
      'all',
      sides.map(({ after }) => cells(sum(after))),
    ),
    ['the last of it'.padEnd(26), ...sides.map((side) => last(side).padStart(width))].join('   '),
  ].join('\n');
}
