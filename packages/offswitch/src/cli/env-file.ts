// env-file.ts: credentials from a file, for whoever does not want them in a shell's history.

import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { CommandError, exit } from './failure.ts';
import type { Io } from './io.ts';
import { clean } from './print.ts';

/** The terminal with the variables of a `.env` file beneath those of the environment, which win. */
export function withEnvFile(io: Io, path: string | undefined): Io {
  if (path === undefined) return io;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError('file_unavailable', `${clean(path)} cannot be read: ${clean(why)}`, exit.usage, { cause: error });
  }
  return { ...io, env: { ...parseEnv(text), ...io.env } };
}
