// program.ts: the studio as a process of its own, in a folder, without anything that would reach the outside.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ownEnvironment } from '../src/incident/fleet-process.ts';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly text: string;
}
export type OnText = (text: string, kill: (signal: NodeJS.Signals) => void, hangUp: () => void) => void;

/** Runs to its end; `onText` sees everything printed so far, and may end it, or read no further as `head` does. */
export function runProgram(
  cwd: string,
  args: readonly string[],
  onText?: OnText,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...ownEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const take = (part: string): void => {
    text += part;
    onText?.(
      text,
      (signal) => void child.kill(signal),
      () => child.stdout.destroy(),
    );
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text }));
  });
}
