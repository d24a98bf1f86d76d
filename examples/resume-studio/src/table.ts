// table.ts: the fleet as a table that fits the terminal. A pure function of what is so and of the size.

import type { SessionView } from 'offswitch';
import { cell, width } from './cells.ts';
import { heldBy, money } from './held.ts';

export type TableView = SessionView & { readonly process?: number };

export interface TableInput {
  /** `process`: the number of the one that has it, where there are several. */
  readonly views: readonly TableView[];
  readonly jobs: number;
  readonly ended: number;
  /** How the command is called here, with the options it needs. */
  readonly command: string;
  /** Lines under the table: where the flag file is and how to stop things. The first are the most important. */
  readonly footer: readonly string[];
  /** The last news: alarms, stops. Newest last. */
  readonly news: readonly string[];
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const over: readonly SessionView['state'][] = ['completed', 'failed', 'terminated'];

/** Never wider than `columns` nor taller than `rows - 1` (the cursor needs a line), whatever is in it. */
export function renderTable(input: TableInput, { columns, rows }: Size): string {
  const height = Math.max(1, rows - 1);
  const live = inTreeOrder(input.views).filter((view) => !over.includes(view.state));
  const footer = input.footer.slice(0, Math.max(1, Math.min(input.footer.length, Math.floor(height / 3))));
  const news = input.news.slice(-Math.min(3, Math.max(0, Math.floor(height / 6))));
  const room = height - footer.length - news.length - 2;
  const lines = [cell(summary(input, live, columns), columns)];
  if (room > 0) {
    const isPlaced = live.some((view) => view.process !== undefined);
    lines.push(row(headings, columns, isPlaced));
    const shown = live.length <= room ? live : live.slice(0, room - 1);
    lines.push(...shown.map((view) => row(cellsOf(view, input.command), columns, isPlaced)));
    if (shown.length < live.length)
      lines.push(cell(`… and ${live.length - shown.length} more: ${input.command} sessions`, columns));
  }
  lines.push(...news.map((line) => cell(line, columns)), ...footer.map((line) => cell(line, columns)));
  return lines
    .slice(0, height)
    .map((line) => line.trimEnd())
    .join('\n');
}

/** How much has ended and how many there are in each state, in as many words as fit: the counts stay. */
function summary({ views, jobs, ended }: TableInput, live: readonly TableView[], columns: number): string {
  const states = new Map<string, number>();
  for (const view of live) states.set(view.state, (states.get(view.state) ?? 0) + 1);
  const counts = [...states].map(([state, count]) => `${count} ${state}`);
  const listed = counts.join(', ') || 'none';
  const cost = money(views.reduce((sum, view) => sum + view.costMicros, 0));
  const shortest = `${ended}/${jobs}; ${counts.join(' ') || 'none'}`;
  const wordings = [
    `Resume studio: ${ended} of ${jobs} jobs ended; agents: ${listed}; ${cost} spent by what is open`,
    `${ended} of ${jobs} jobs ended; agents: ${listed}; ${cost}`,
    `${ended} of ${jobs} ended; ${listed}`,
  ];
  return wordings.find((text) => width(text) <= columns) ?? shortest;
}

interface Column {
  readonly heading: string;
  readonly least: number;
  /** Its share of what is left over. */
  readonly share: number;
  readonly right?: true;
  /** Where there is no room: the lowest goes first. Without one it stays. */
  readonly goes?: number;
}

/** A session id is 18 characters long, and that of a child is indented. */
const idColumns = 19;
const layout: readonly Column[] = [
  { heading: 'session', least: 22, share: 2 },
  { heading: 'process', least: 7, share: 0, right: true, goes: 5 },
  { heading: 'workflow', least: 10, share: 1, goes: 1 },
  { heading: 'user', least: 6, share: 1, goes: 4 },
  { heading: 'turn', least: 4, share: 0, right: true, goes: 2 },
  { heading: 'cost', least: 8, share: 0, right: true, goes: 3 },
  { heading: 'state', least: 7, share: 0 },
  { heading: 'held by', least: 36, share: 6 },
];
const headings = layout.map((column) => column.heading);

function cellsOf(view: TableView, command: string): readonly string[] {
  const depth = view.path.length - 1;
  const name = depth === 0 ? (view.conversation ?? view.agent) : view.agent;
  return [
    // The id first, and whole: it is what the commands are given.
    `${'  '.repeat(Math.min(depth, 2))}${view.id} ${name}`,
    view.process === undefined ? '' : String(view.process),
    view.workflow,
    view.user ?? '',
    String(view.turn),
    money(view.costMicros),
    view.state,
    heldBy(view, command),
  ];
}

/** What does not fit at its least width goes; state and what holds it go last, after they have shrunk. */
function fitting(
  columns: number,
  isPlaced: boolean,
): readonly { readonly column: Column; readonly index: number; readonly size: number }[] {
  let chosen = layout
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => isPlaced || column.heading !== 'process');
  const least = (): number => chosen.reduce((sum, { column }) => sum + column.least + 1, -1);
  while (least() > columns) {
    const going = chosen.filter(({ column }) => column.goes !== undefined).sort((a, b) => a.column.goes! - b.column.goes!);
    if (going.length === 0) break;
    chosen = chosen.filter((one) => one !== going[0]);
  }
  const spare = Math.max(0, columns - least());
  const shares = chosen.reduce((sum, { column }) => sum + column.share, 0);
  let over = Math.max(0, least() - columns);
  const sizes = chosen.map(({ column }) => column.least + Math.floor((spare * column.share) / shares));
  // First the name beside the id of a session, then what is right of it, and the id at last.
  const name = Math.min(over, sizes[0]! - idColumns);
  sizes[0] = sizes[0]! - name;
  over -= name;
  for (let at = sizes.length - 1; at >= 0 && over > 0; at--) {
    const cut = Math.min(over, sizes[at]! + (at > 0 ? 1 : 0));
    // A column of a letter or two says nothing.
    const isUseless = at > 0 && sizes[at]! - cut < 4;
    over -= isUseless ? sizes[at]! + 1 : cut;
    sizes[at] = isUseless ? 0 : sizes[at]! - cut;
  }
  if (over < 0) sizes[0] = sizes[0]! - over;
  return chosen.map((one, at) => ({ ...one, size: sizes[at]! })).filter(({ size }) => size > 0);
}

function row(cells: readonly string[], columns: number, isPlaced: boolean): string {
  return fitting(columns, isPlaced)
    .map(({ column, index, size }) => {
      const text = cells[index] ?? '';
      return column.right ? cell(' '.repeat(Math.max(0, size - width(text))) + text, size) : cell(text, size);
    })
    .join(' ');
}

/** Parents before children; roots as they came. */
export function inTreeOrder<View extends SessionView>(views: readonly View[]): readonly View[] {
  const present = new Set(views.map((view) => view.id));
  const children = new Map<string, View[]>();
  const stack: View[] = [];
  for (const view of views) {
    if (view.parent !== undefined && present.has(view.parent))
      children.set(view.parent, [...(children.get(view.parent) ?? []), view]);
    else stack.push(view);
  }
  stack.reverse();
  const ordered: View[] = [];
  for (let view = stack.pop(); view; view = stack.pop()) {
    ordered.push(view);
    stack.push(...(children.get(view.id) ?? []).reverse());
  }
  return ordered;
}
