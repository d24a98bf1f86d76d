// table.test.ts: the table fits the terminal, whatever the terminal and whatever is in it.

import type { Decision, SessionView } from 'offswitch';
import { describe, expect, test } from 'vitest';
import { cell, width } from '../src/cells.ts';
import { renderTable, type TableInput } from '../src/table.ts';

const stopped: Decision = {
  action: 'pause',
  tier: 'feature',
  cause: 'switch',
  reason: 'scores look wrong',
  effect: '',
  notice: '',
  by: 'ada',
  since: 0,
};

function view(more: Partial<SessionView>): SessionView {
  const id = more.id ?? 's-1';
  return {
    id,
    root: more.path?.[0] ?? id,
    path: [id],
    agent: 'batch-scoring',
    workflow: 'batch-scoring',
    user: 'u-ann',
    conversation: 'batch-scoring/r-ann',
    state: 'running',
    turn: 3,
    checkpointTurn: 2,
    costMicros: 1_234,
    decision: { action: 'run' },
    calls: [],
    unknownCalls: [],
    since: 0,
    ...more,
  };
}

const child = (id: string, parent: string, more: Partial<SessionView> = {}): SessionView =>
  view({ id, parent, path: [parent, id], agent: 'scorer', ...more });
const footer = ['flag file: studio/switches.flagd.json', 'npx offswitch engage global --reason "..."'];
const table = (views: readonly SessionView[], more: Partial<TableInput> = {}): TableInput => ({
  views,
  jobs: 39,
  ended: 7,
  command: 'npx offswitch --state there',
  footer,
  news: [],
  ...more,
});

describe('the table', () => {
  test('shows the tree, workflow, user, turn, cost and state of each session, and what holds it and why', () => {
    const views = [view({ id: 's-1' }), view({ id: 's-2', state: 'paused', decision: stopped }), child('s-3', 's-1')];
    const lines = renderTable(table(views), { columns: 160, rows: 30 }).split('\n');
    expect(lines[0]).toMatch(/7 of 39 jobs ended; agents: 2 running, 1 paused/);
    expect(lines[2]).toMatch(/^s-1 batch-scoring\/r-ann +batch-scoring +u-ann +3 +\$0\.0012 running/);
    expect(lines[3]).toMatch(/^ {2}s-3 scorer/);
    expect(lines[4]).toMatch(/paused +switch feature: scores look wrong \(ada\)/);
    expect(lines.slice(-2)).toEqual(footer);
  });

  test('names the command that settles a call of unknown outcome', () => {
    const unknownCalls = [{ id: 't5-2', name: 'send_letter', idempotencyKey: 'k' }];
    const text = renderTable(table([view({ state: 'parked', unknownCalls })]), { columns: 240, rows: 30 });
    expect(text).toContain('send_letter happened? npx offswitch --state there resolve s-1 t5-2 --happened | --did-not');
  });

  test('leaves out what has ended', () => {
    const views = [view({ id: 's-1' }), child('s-2', 's-1', { state: 'completed' })];
    expect(renderTable(table(views), { columns: 120, rows: 30 })).not.toContain('s-2');
  });

  test.each([
    [1, 1],
    [2, 3],
    [20, 5],
    [30, 9],
    [36, 9],
    [40, 10],
    [80, 24],
    [120, 8],
    [300, 100],
  ])('is never wider than %i columns nor taller than %i rows', (columns, rows) => {
    const nasty = { ...stopped, reason: 'línea\nnueva \u001b[2J 履歴書を停止 👩‍👩‍👧 '.repeat(9) };
    const views = Array.from({ length: 60 }, (_, index) =>
      view({ id: `s-${index}`, user: '林美玲'.repeat(5), state: 'paused', decision: nasty }),
    );
    const text = renderTable(table(views, { news: ['ALARM: x'.repeat(99)] }), { columns, rows });
    const lines = text.split('\n');
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(width(line)).toBeLessThanOrEqual(columns);
    expect(text).not.toContain('\u001b');
  });

  test.each([
    [40, /^s-2.* paused +switch fea/],
    [60, /^s-2.* paused +switch feature: scores look/],
    [80, /^s-2.* u-ann +\S* *paused +switch feature: scores look wrong/],
  ])('keeps state and what holds it at %i columns, and every count', (columns, shown) => {
    const views = [view({ id: 's-1234567890123456' }), view({ id: 's-2234567890123456', state: 'paused', decision: stopped })];
    const lines = renderTable(table(views, { jobs: 390, ended: 123 }), { columns, rows: 30 }).split('\n');
    expect(lines[1]).toMatch(/state +held by/);
    expect(lines[3]).toMatch(shown);
    expect(lines[0]).toMatch(/123( of |\/)390.* 1 running,? 1 paused/);
  });

  test('says how many did not fit', () => {
    const views = Array.from({ length: 60 }, (_, index) => view({ id: `s-${index}` }));
    expect(renderTable(table(views), { columns: 80, rows: 20 })).toMatch(/… and 46 more/);
  });
});

describe('a cell', () => {
  test.each([
    ['abc', 5, 'abc  '],
    ['abcdef', 5, 'abcd…'],
    ['履歴書', 5, '履歴…'],
    ['履歴書', 4, '履… '],
    ['a\nb', 3, 'a b'],
    ['x', 0, ''],
  ])('makes of %j in %i columns %j', (text, columns, shown) => {
    expect(cell(text, columns)).toBe(shown);
  });
});
