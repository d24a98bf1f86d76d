// harness.ts: a flag file in a folder of its own, with a source over it and ways to wait for what it reads.

import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KillSwitches, SwitchSource } from '@offswitch/core';
import { type FlagFileControl, type FlagFileOptions, type FlagFileSource, flagFile, flagFileControl } from '@offswitch/flag-file';
import { contractSwitches } from '@offswitch/testing';

export interface FileHarness {
  readonly directory: string;
  readonly path: string;
  readonly source: FlagFileSource;
  readonly control: FlagFileControl;
  text(): Promise<string>;
  /** In place, as a careless editor does. */
  write(text: string): Promise<void>;
  /** By rename, as a careful one does. */
  swap(text: string): Promise<void>;
  close(): Promise<void>;
}

export async function fileHarness(
  options: FlagFileOptions = {},
  switches: KillSwitches = contractSwitches,
): Promise<FileHarness> {
  const directory = await mkdtemp(join(tmpdir(), 'offswitch-flag-file-'));
  const path = join(directory, 'switches.flagd.json');
  const control = flagFileControl(path);
  await control.provision(switches, { apply: true });
  // A poll so slow that only the watch can be what a test saw.
  const source = flagFile(path, { settleMs: 5, pollMs: 60_000, ...options });
  return {
    directory,
    path,
    source,
    control,
    text: () => readFile(path, 'utf8'),
    write: (text) => writeFile(path, text),
    async swap(text) {
      await writeFile(`${path}.next`, text);
      await rename(`${path}.next`, path);
    },
    async close() {
      await source.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves when `holds` is true: now, or after one of the source's notices. The test's own time limit bounds it. */
export async function until(source: SwitchSource, holds: () => boolean): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve) => {
    const stop = source.subscribe(() => {
      if (!holds()) return;
      stop();
      resolve();
    });
  });
}

/** Changes the parsed file and writes it back. */
export function edited(text: string, change: (file: FlagFileJson) => void): string {
  const file = JSON.parse(text) as FlagFileJson;
  change(file);
  return JSON.stringify(file, undefined, 2);
}

export interface FlagFileJson {
  metadata?: Record<string, unknown>;
  flags: Record<string, Record<string, unknown>>;
}
