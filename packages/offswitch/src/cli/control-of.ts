// control-of.ts: the control of the source that the application reads from: the flag file's own, or a vendor's, from the package
// that the application has installed and with the credentials of whoever runs the command.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { SwitchControl } from '@offswitch/core';
import type { FlagFileControl } from '@offswitch/flag-file';
import { fromEnvironment, isVendor, type Vendor, vendors } from '../vendors.ts';
import type { Command } from './command.ts';
import type { Declared } from './declared.ts';
import { CommandError } from './failure.ts';
import { clean } from './print.ts';

export interface Wired {
  readonly control: SwitchControl;
  /** Where it writes, in a sentence: `the flag file`, `LaunchDarkly`. */
  readonly title: string;
  /** Where that is: a path, a host. */
  readonly location: string;
  /** Who keeps others from flipping, for people (S12). */
  readonly enforcement: string;
  /** Present for a flag file: source and control share its revision. */
  readonly file?: FlagFileControl;
}

/** How long a vendor's management API may take per call. Milliseconds. 5 s: a person waits, and a stop must not. */
const timeoutMs = 5_000;

/**
 * The control of the declared source, or of `kind` where another is asked for. Rejects with `no_control`, `control_not_installed`
 * or `credentials_missing`, each with the way out. `isEnded`: for a look at the targets; of a session that nobody knows it is false.
 */
export async function controlOf(
  command: Command,
  declared: Declared,
  kind: string = declared.source.kind,
  isEnded: (session: string) => boolean = () => false,
): Promise<Wired> {
  const { location, series } = declared.source;
  if (kind === 'flag-file' && kind === declared.source.kind && location !== undefined) {
    const file = command.place.control(location, series);
    const enforcement = 'A flag file enforces nobody: whoever can write it can flip it';
    return { control: file, title: 'the flag file', location: file.location, enforcement, file };
  }
  if (!isVendor(kind)) throw noControl(declared, kind);
  const vendor = vendors[kind];
  const { options, missing } = fromEnvironment(vendor.control, command.io.env);
  const make = await factoryOf(command, vendor);
  if (missing.length > 0) {
    const names = missing.map((one) => `${one.name} (${one.what})`).join(' and ');
    throw new CommandError(
      'credentials_missing',
      `to flip switches in ${vendor.title}, set ${names} in the environment, or name a file with --credentials`,
    );
  }
  const instanceKey = declared.switches.instance?.key;
  const named = vendor.name === 'launchdarkly' && instanceKey !== undefined ? { instanceKey } : {};
  let control: SwitchControl;
  try {
    control = make({ ...options, timeoutMs, isEnded, ...named, warn: (text: string) => warn(command, text) });
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^\[[\w-]+\] /, '') : String(error);
    throw new CommandError('bad_configuration', `the control of ${vendor.title} cannot be made: ${clean(why)}`, undefined, {
      cause: error,
    });
  }
  return {
    control,
    title: vendor.title,
    location: `${vendor.title}, ${place(options)}`,
    enforcement: `${vendor.title} enforces it: the token in ${vendor.control.find((one) => one.option === 'token')!.name} decides`,
  };
}

function place({ baseUrl, url = baseUrl, project, environment }: Readonly<Record<string, string>>): string {
  const at = [project === undefined ? '' : `project ${project}`, environment === undefined ? '' : `environment ${environment}`];
  return [...at.filter((one) => one !== ''), ...(url === undefined ? [] : [`at ${url}`])].join(', ');
}

function warn(command: Command, text: string): void {
  command.say(`  ! ${clean(text)}`);
}

function noControl({ source }: Declared, kind: string): CommandError {
  const location = source.location !== undefined && kind === source.kind ? ` (${clean(source.location)})` : '';
  return new CommandError(
    'no_control',
    `the switches are read from ${clean(kind)}${location}, which this command cannot flip: flip them there. ` +
      "An operator's stop that was made here is released by act: offswitch release --stop <id> --reason ...",
  );
}

type Factory = (options: Readonly<Record<string, unknown>>) => SwitchControl;

async function factoryOf(command: Command, vendor: Vendor): Promise<Factory> {
  const specifier = `${vendor.package}/control`;
  let loaded: unknown;
  try {
    loaded = await command.place.load(specifier);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    const isAbsent = error instanceof Error && 'code' in error && missingCodes.has(String(error.code));
    throw new CommandError(
      'control_not_installed',
      isAbsent
        ? `the switches are in ${vendor.title}, and ${specifier} is not installed here: npm install ${vendor.package}`
        : `${specifier} cannot be loaded: ${clean(why)}; install it anew: npm install ${vendor.package}`,
      undefined,
      { cause: error },
    );
  }
  const factory = (loaded as Readonly<Record<string, unknown>> | undefined)?.[vendor.controlFactory];
  if (typeof factory === 'function') return factory as Factory;
  throw new CommandError(
    'control_not_installed',
    `${specifier} exports no ${vendor.controlFactory}; install the same version as offswitch: npm install ${vendor.package}`,
  );
}

const missingCodes: ReadonlySet<string> = new Set(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED']);

/** Imports what the project in `folder` has installed, else what lies beside this command. */
export async function loadFrom(folder: string, specifier: string): Promise<unknown> {
  let path: string;
  try {
    path = createRequire(join(folder, 'offswitch.cjs')).resolve(specifier);
  } catch {
    path = createRequire(import.meta.url).resolve(specifier);
  }
  return import(pathToFileURL(path).href);
}
