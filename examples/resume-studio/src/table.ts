// table.ts: the fleet as a table that fits the terminal. A pure function of what is so and of the size.

import type { SessionView } from 'offswitch';
import { cell, width } from './cells.ts';
import { heldBy, money } from './held.ts';

export interface TableInput {
  readonly views: readonly SessionView[];
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
  const lines = [cell(summary(input, live), columns)];
  if (room > 0) {
    lines.push(row(headings, columns));
    const shown = live.length <= room ? live : live.slice(0, room - 1);
    lines.push(...shown.map((view) => row(cellsOf(view, input.command), columns)));
    if (shown.length < live.length)
      lines.push(cell(`… and ${live.length - shown.length} more: ${input.command} sessions`, columns));
  }
  lines.push(...news.map((line) => cell(line, columns)), ...footer.map((line) => cell(line, columns)));
  return lines
    .slice(0, height)
    .map((line) => line.trimEnd())
    .join('\n');
}

function summary({ views, jobs, ended }: TableInput, live: readonly SessionView[]): string {
  const states = new Map<string, number>();
  for (const view of live) states.set(view.state, (states.get(view.state) ?? 0) + 1);
  const counts = [...states].map(([state, count]) => `${count} ${state}`).join(', ');
  const cost = views.reduce((sum, view) => sum + view.costMicros, 0);
  return `Resume studio: ${ended} of ${jobs} jobs ended; agents: ${counts || 'none'}; ${money(cost)} spent by what is open`;
}

interface Column {
  readonly least: number;
  /** Its share of what is left over. */
  readonly share: number;
  readonly right?: true;
}

const layout: readonly Column[] = [
  { least: 22, share: 2 },
  { least: 10, share: 1 },
  { least: 6, share: 1 },
  { least: 4, share: 0, right: true },
  { least: 8, share: 0, right: true },
  { least: 7, share: 0 },
  { least: 0, share: 6 },
];
const headings = ['session', 'workflow', 'user', 'turn', 'cost', 'state', 'held by'];

function cellsOf(view: SessionView, command: string): readonly string[] {
  const depth = view.path.length - 1;
  const name = depth === 0 ? (view.conversation ?? view.agent) : view.agent;
  return [
    // The id first, and whole: it is what the commands are given.
    `${'  '.repeat(Math.min(depth, 2))}${view.id} ${name}`,
    view.workflow,
    view.user ?? '',
    String(view.turn),
    money(view.costMicros),
    view.state,
    heldBy(view, command),
  ];
}

/** Columns that do not fit at their least width are left out from the right, but never the first. */
function row(cells: readonly string[], columns: number): string {
  let count = layout.length;
  const least = (upTo: number): number => layout.slice(0, upTo).reduce((sum, column) => sum + column.least + 1, -1);
  while (count > 1 && least(count) > columns) count--;
  const chosen = layout.slice(0, count);
  const spare = Math.max(0, columns - least(count));
  const shares = chosen.reduce((sum, column) => sum + column.share, 0) || 1;
  return chosen
    .map((column, index) => {
      const size = count === 1 ? columns : column.least + Math.floor((spare * column.share) / shares);
      const text = cells[index] ?? '';
      return column.right ? cell(' '.repeat(Math.max(0, size - width(text))) + text, size) : cell(text, size);
    })
    .join(' ');
}

/** Parents before children; roots as they came. */
export function inTreeOrder(views: readonly SessionView[]): readonly SessionView[] {
  const present = new Set(views.map((view) => view.id));
  const children = new Map<string, SessionView[]>();
  const stack: SessionView[] = [];
  for (const view of views) {
    if (view.parent !== undefined && present.has(view.parent))
      children.set(view.parent, [...(children.get(view.parent) ?? []), view]);
    else stack.push(view);
  }
  stack.reverse();
  const ordered: SessionView[] = [];
  for (let view = stack.pop(); view; view = stack.pop()) {
    ordered.push(view);
    stack.push(...(children.get(view.id) ?? []).reverse());
  }
  return ordered;
}
