// io.ts: the terminal as a port, so that tests run commands in process, without one.

import { createInterface } from 'node:readline/promises';
import { setTimeout as wait } from 'node:timers/promises';

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** A person is there to be asked. */
  readonly isInteractive: boolean;
  readonly hasColour: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of the person at the keyboard, as the operating system knows it. */
  readonly user: string;
  /** One line from the person; '' when the terminal was closed or interrupted instead. */
  ask(question: string): Promise<string>;
  /** Epoch milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export function terminal(user: string): Io {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isInteractive: process.stdin.isTTY === true && process.stderr.isTTY === true,
    hasColour: process.stdout.isTTY === true && !process.env.NO_COLOR,
    env: process.env,
    user,
    async ask(question) {
      // On stderr, so that the answer of `--json` stays alone on stdout.
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      let isAnswered = false;
      const closed = new Promise<string>((resolve) =>
        lines.once('close', () => {
          // Ctrl-C leaves the cursor behind the question.
          if (!isAnswered) process.stderr.write('\n');
          resolve('');
        }),
      );
      try {
        const answer = await Promise.race([lines.question(question), closed]);
        isAnswered = true;
        return answer;
      } finally {
        lines.close();
      }
    },
    now: () => Date.now(),
    sleep: (ms) => wait(ms),
  };
}
