// screen.ts: how the fleet is shown: a live table in a terminal, plain lines elsewhere.

import { createLogUpdate } from 'log-update';
import type { Runtime } from 'offswitch';
import { oneLine } from './cells.ts';
import { newsOf, printLines } from './lines.ts';
import { renderTable, type TableInput } from './table.ts';

export interface Screen {
  /** One line for people, at once: above the table, or among the lines. */
  say(line: string): void;
  /** Leaves the last table standing. Idempotent: what is printed after it stays the last word. */
  close(): void;
}

export interface ScreenOptions {
  readonly runtime: Runtime;
  readonly output: NodeJS.WriteStream;
  /** False once nobody reads what is printed: then nothing is. */
  readonly isRead: () => boolean;
  readonly isPlain: boolean;
  /** How the `offswitch` command is called here, with the options it needs. */
  readonly command: string;
  readonly jobs: number;
  readonly ended: () => number;
  readonly footer: readonly string[];
  /** Sessions of all processes, for the table. */
  readonly views: () => TableInput['views'];
}

/** How often the table is drawn anew. Milliseconds. Four times a second is live for an eye and nothing for a processor. */
const drawEveryMs = 250;

export function openScreen(options: ScreenOptions): Screen {
  const { runtime, output, isRead, isPlain, command, jobs, ended, footer, views } = options;
  if (isPlain || output.isTTY !== true) {
    const say = (line: string): void => {
      if (isRead()) output.write(`${new Date().toISOString().slice(11, 19)} ${oneLine(line)}\n`);
    };
    const end = printLines(runtime, say, command);
    return { say, close: end };
  }
  const update = createLogUpdate(output);
  const news: string[] = [];
  let isClosed = false;
  const draw = (): void => {
    if (!isRead()) return;
    const size = { columns: output.columns || 80, rows: output.rows || 24 };
    update(renderTable({ views: views(), jobs, ended: ended(), command, footer, news }, size));
  };
  const end = runtime.subscribe((event) => {
    const line = newsOf(event);
    if (!line) return;
    news.push(line);
    if (news.length > 20) news.shift();
  });
  const timer = setInterval(draw, drawEveryMs);
  timer.unref();
  output.on('resize', draw);
  draw();
  return {
    say: (line) => {
      if (!isRead()) return;
      update.clear();
      output.write(`${oneLine(line)}\n`);
      draw();
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      output.off('resize', draw);
      end();
      draw();
      if (isRead()) update.done();
    },
  };
}
