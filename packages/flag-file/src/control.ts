// control.ts: flips in a flag file, as people ask for them: durable, read back, and never over something we do not understand.
//
// A flag file enforces nobody: whoever may write it may flip. That is said wherever switches are shown (S12).

import { resolve } from 'node:path';
import { checkId, type Flip, type Order, type Subject, type SwitchControl, type SwitchFlag } from '@offswitch/core';
import { editFlip, setRevision } from './edit.ts';
import { FlagFileError } from './error.ts';
import { evaluateSwitch } from './evaluate.ts';
import { showFinding } from './finding.ts';
import { type FlagSet, loadFlagSet } from './flag-set.ts';
import { appendFlip, readFlips } from './history.ts';
import { inspectFile } from './inspect.ts';
import { withLock } from './lock.ts';
import { provisionFile } from './provision.ts';
import { placeOf, replaceFile } from './replace.ts';
import { fieldsOf } from './rule.ts';
import { defaultMaxBytes, defaultSeries, readSnapshot } from './snapshot.ts';
import { type SwitchState, switchState } from './switch-state.ts';
import type { TargetField } from './words.ts';

export interface FlagFileControlOptions {
  /** The same as the source's, so that a flip's position compares with its readings. Default: the same default. */
  readonly series?: string;
  /** How long to wait for another writer. Milliseconds. Default 2000: a write takes a few; then `locked`. */
  readonly lockWaitMs?: number;
  /** Largest file that is read. Bytes. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Wall clock for the time of a flip. Default `Date.now`. */
  readonly now?: () => number;
  /** Hears of what does not undo a flip: a history that cannot be written, or has damaged lines. Default `process.emitWarning`. */
  readonly warn?: (message: string) => void;
}

/** One flip among several that are made together. */
export interface Flipping {
  readonly action: Flip['action'];
  readonly order: Order;
}

export interface FlagFileControl extends SwitchControl {
  readonly location: string;
  /**
   * Several flips as one write at one revision, all or none. One after the other would raise the revision between them, and
   * every switch not yet written would read released there: newer than its stop, and so a release that nobody asked for (I13).
   */
  flipAll(flips: readonly Flipping[]): Promise<readonly Flip[]>;
}

/** How often a flip starts over because somebody saved the file meanwhile. */
const attempts = 5;

/** Flips, provisions and inspects the switches of a flag file. Nothing is read or written until asked. Throws `bad_configuration`. */
export function flagFileControl(path: string, options: FlagFileControlOptions = {}): FlagFileControl {
  if (typeof path !== 'string' || path.trim() === '')
    throw new FlagFileError('bad_configuration', 'the path of the flag file is empty; give one, like "switches.flagd.json"');
  const location = resolve(path);
  const series = options.series ?? defaultSeries(location);
  const lockWaitMs = options.lockWaitMs ?? 2000;
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  const now = options.now ?? Date.now;
  const warn = options.warn ?? ((message: string) => process.emitWarning(message, 'OffswitchWarning'));
  const exclusively = async <T>(work: (place: string) => Promise<T>): Promise<T> => {
    const place = await placeOf(location);
    return withLock(place, lockWaitMs, () => work(place));
  };

  const flipAll = async (flips: readonly Flipping[]): Promise<readonly Flip[]> => {
    const asked = flips.map(({ action, order }) => ({ action, order, flag: order.flag, target: checkOrder(order) }));
    return exclusively(async (place) => {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const set = await loadForEdit(location, maxBytes);
        const at = now();
        const revision = Math.max(set.revision, ...asked.map(({ order }) => order.above ?? 0)) + 1;
        const { text } = set.document;
        let next = text;
        const steps = asked.map((one) => {
          const { action, order, target } = one;
          // Each edit is made on what the one before it left.
          const state = editableState(location, next === text ? set : parsed(location, next), order.flag, target !== undefined);
          const isAlready = saysEngaged(state, target) === (action === 'engage');
          const words = { reason: order.reason, by: order.by, at: new Date(at).toISOString() };
          if (!isAlready) next = editFlip(next, state, { action, ...words, ...(target ? { target } : {}) });
          return { ...one, changed: !(isAlready && (order.above === undefined || set.revision > order.above)) };
        });
        const isChanged = steps.some((one) => one.changed);
        const made = steps.map(
          ({ action, order, changed }): Flip => ({
            key: order.flag.key,
            action,
            ...(order.target === undefined ? {} : { target: order.target }),
            reason: order.reason,
            by: order.by,
            at,
            position: { series, n: isChanged ? revision : set.revision },
            changed,
          }),
        );
        if (!isChanged) return made;
        if (!Number.isSafeInteger(revision))
          throw new FlagFileError('bad_order', `revision ${revision} is past what JSON numbers hold`);
        next = setRevision(next, revision);
        confirm(location, next, set, asked, revision);
        if (!(await replaceFile(place, text, next))) continue;
        const written = await loadForEdit(location, maxBytes);
        confirm(location, written.document.text, undefined, asked, revision);
        for (const done of made) {
          if (!done.changed) continue;
          await appendFlip(place, done).catch((error: unknown) =>
            warn(`the flip of ${done.key} is not in the history: ${String(error)}`),
          );
        }
        return made;
      }
      throw new FlagFileError('concurrent_edit', `${location} changed ${attempts} times while it was being written; try again`);
    });
  };
  const flip = async (action: Flip['action'], order: Order): Promise<Flip> => (await flipAll([{ action, order }]))[0]!;

  return {
    name: 'flag-file',
    location,
    engage: (order) => flip('engage', order),
    release: (order) => flip('release', order),
    flipAll,
    provision: (switches, { apply = false } = {}) => provisionFile(location, switches, { apply, maxBytes, exclusively }),
    inspect: (switches) => inspectFile(location, switches, maxBytes),
    history: async (query = {}) => readFlips(await placeOf(location), query, warn),
  };
}

type Target = { readonly field: TargetField; readonly id: string };

function checkOrder(order: Order): Target | undefined {
  const { flag, target, targetKind, reason, by, above } = order;
  if (typeof reason !== 'string' || reason.trim() === '') throw new FlagFileError('bad_order', 'the reason is empty; say why');
  if (typeof by !== 'string' || by.trim() === '') throw new FlagFileError('bad_order', '`by` is empty; say who asks');
  if (above !== undefined && !(Number.isSafeInteger(above) && above >= 0))
    throw new FlagFileError('bad_order', '`above` must be a position: a whole number from 0 up');
  switch (flag.tier) {
    case 'global':
    case 'feature':
      if (target === undefined) return undefined;
      throw new FlagFileError('bad_order', `a ${flag.tier} switch has no targets; leave the target out`);
    case 'user':
      if (target === undefined) throw new FlagFileError('bad_order', 'a user switch needs a target: the user id');
      return { field: 'userId', id: checkId('userId', target) };
    case 'instance': {
      if (target === undefined)
        throw new FlagFileError('bad_order', 'an instance switch needs a target: a session or conversation id');
      const field = targetKind === 'conversation' ? 'conversationId' : 'sessionId';
      return { field, id: checkId(field, target) };
    }
  }
}

async function loadForEdit(location: string, maxBytes: number): Promise<FlagSet> {
  const snapshot = await readSnapshot(location, maxBytes);
  if (!snapshot.ok)
    throw new FlagFileError(snapshot.kind === 'too-large' ? 'file_invalid' : 'file_unavailable', `${location}: ${snapshot.why}`);
  return parsed(location, snapshot.text);
}

function parsed(location: string, text: string): FlagSet {
  const loaded = loadFlagSet(text);
  if (!loaded.ok)
    throw new FlagFileError('file_invalid', `${showFinding(location, loaded.finding)}; nothing was written over it`);
  return loaded.set;
}

function editableState(location: string, set: FlagSet, flag: SwitchFlag, isTargeted: boolean): SwitchState {
  const verdict = set.readable(flag.key, flag);
  if (!Object.hasOwn(set.document.flags, flag.key))
    throw new FlagFileError('flag_missing', `${location} has no flag ${JSON.stringify(flag.key)}; provision it first`);
  if (!verdict.ok) throw new FlagFileError('flag_invalid', showFinding(location, verdict.finding));
  const state = switchState(set.document, flag);
  if (state.rule.kind === 'hand-written') {
    const shape = isTargeted
      ? `bring it into the form {"if": [{"in": [{"var": "${fieldsOf(flag)[0]}"}, ["id"]]}, "${state.engagedVariant}", null]}`
      : 'this switch has no targets, so delete its "targeting"';
    throw new FlagFileError(
      'hand_written_rule',
      `the targeting of ${JSON.stringify(flag.key)} was written by hand; ${shape}, or flip it by hand`,
    );
  }
  if (isTargeted && state.isDefaultEngaged)
    throw new FlagFileError(
      'flag_invalid',
      `${JSON.stringify(flag.key)} is on for everybody, which is no order anybody can mean; set "defaultVariant" to "${state.releasedVariant}" by hand first`,
    );
  return state;
}

function saysEngaged(state: SwitchState, target: Target | undefined): boolean {
  if (!target) return state.isDefaultEngaged;
  return (
    state.rule.kind === 'lists' && state.rule.lists.some((list) => list.field === target.field && list.ids.includes(target.id))
  );
}

interface Asked {
  readonly action: Flip['action'];
  readonly flag: SwitchFlag;
  readonly target: Target | undefined;
}

/** Reads the text with the evaluator that the source uses. `before`: also that no other flag moved. */
function confirm(location: string, text: string, before: FlagSet | undefined, asked: readonly Asked[], revision: number): void {
  const loaded = loadFlagSet(text, before);
  const wrong = asked.find(
    ({ action, flag, target }) =>
      (loaded.ok ? stateFor(location, loaded.set, flag, target) : undefined) !== (action === 'engage' ? 'engaged' : 'released'),
  );
  const flipped = new Set(asked.map(({ flag }) => flag.key));
  const isKept =
    !before ||
    (loaded.ok &&
      [...before.compiled].every(([key, one]) => flipped.has(key) || loaded.set.compiled.get(key)?.print === one.print) &&
      loaded.set.compiled.size === before.compiled.size);
  if (loaded.ok && !wrong && isKept && loaded.set.revision >= revision) return;
  const { action, flag, target } = wrong ?? asked[0]!;
  const state = loaded.ok ? stateFor(location, loaded.set, flag, target) : undefined;
  const found = state ? `reads ${state}` : 'cannot be read';
  throw new FlagFileError(
    'not_confirmed',
    before
      ? `the edit of ${location} would not do what was asked (${flag.key} ${found}); nothing was written, flip it by hand`
      : `${location} was written and ${flag.key} now ${found} instead of ${action === 'engage' ? 'engaged' : 'released'}: somebody edited it at the same moment; look at the file`,
  );
}

function stateFor(location: string, set: FlagSet, flag: SwitchFlag, target: Target | undefined): string | undefined {
  const verdict = set.readable(flag.key, flag);
  if (!verdict.ok) return undefined;
  const subject: Subject = target
    ? { [target.field]: target.id }
    : flag.workflow === undefined
      ? {}
      : { workflow: flag.workflow };
  return evaluateSwitch(set, verdict.feature, flag, subject, 'live', { series: location }).state;
}
