// edit.ts: one flip as the smallest edit of the text: other flags, order, spacing and line ends stay as a person left them.

import { applyEdits, type FormattingOptions, type JSONPath, modify } from 'jsonc-parser';
import { type Json, revisionKey } from './document.ts';
import { fieldsOf, writeRule } from './rule.ts';
import type { SwitchState } from './switch-state.ts';
import { type TargetField, targetName, targetWords, wordKeys } from './words.ts';

export interface FlipEdit {
  readonly action: 'engage' | 'release';
  readonly target?: { readonly field: TargetField; readonly id: string };
  readonly reason: string;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

export function setRevision(text: string, revision: number): string {
  return set(text, ['metadata', revisionKey], revision);
}

/** The text with the flip made. The state must be of this text and of a shape that is ours. */
export function editFlip(text: string, state: SwitchState, edit: FlipEdit): string {
  return edit.target === undefined ? editDefault(text, state, edit) : editTarget(text, state, { ...edit, target: edit.target });
}

function editDefault(text: string, { flag, engagedVariant, releasedVariant }: SwitchState, edit: FlipEdit): string {
  const engages = edit.action === 'engage';
  const flipped = set(text, ['flags', flag.key, 'defaultVariant'], engages ? engagedVariant : releasedVariant);
  // Words say why it is engaged; left behind, they would explain the next engagement, which a person may make by hand.
  return [
    [wordKeys.reason, edit.reason],
    [wordKeys.by, edit.by],
    [wordKeys.at, edit.at],
  ].reduce((next, [key, value]) => setWord(next, flag.key, key!, engages ? value : undefined), flipped);
}

function editTarget(
  text: string,
  state: SwitchState,
  edit: FlipEdit & { readonly target: NonNullable<FlipEdit['target']> },
): string {
  const { flag, definition, engagedVariant, rule } = state;
  const { field, id } = edit.target;
  const base: JSONPath = ['flags', flag.key, 'targeting'];
  const lists = rule.kind === 'lists' ? rule.lists : [];
  const list = lists.find((one) => one.field === field);
  let next = text;
  if (edit.action === 'release') {
    if (!list) return text;
    // From the end, so that the places of the others hold. An id may be listed twice by hand.
    for (let i = list.ids.length - 1; i >= 0; i--)
      if (list.ids[i] === id) next = set(next, [...base, ...list.path, i], undefined);
  } else if (list) {
    next = set(next, [...base, ...list.path, list.ids.length], id, true);
  } else {
    const all = fieldsOf(flag).map((one) => ({
      field: one,
      ids: one === field ? [id] : (lists.find((known) => known.field === one)?.ids ?? []),
    }));
    next = set(next, base, writeRule(all, engagedVariant));
  }
  const metadata = definition.metadata;
  const words = targetWords(
    typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata) ? (metadata as Record<string, Json>) : {},
  );
  const name = targetName(field, id);
  if (edit.action === 'engage') words.set(name, { reason: edit.reason, by: edit.by, at: edit.at });
  else words.delete(name);
  return setWord(next, flag.key, wordKeys.targets, words.size === 0 ? undefined : JSON.stringify(Object.fromEntries(words)));
}

function setWord(text: string, key: string, word: string, value: string | undefined): string {
  return set(text, ['flags', key, 'metadata', word], value);
}

export function set(text: string, path: JSONPath, value: Json | undefined, isArrayInsertion = false): string {
  if (value === undefined && !existsIn(text, path)) return text;
  return applyEdits(text, modify(text, path, value, { formattingOptions: formattingOf(text), isArrayInsertion }));
}

function existsIn(text: string, path: JSONPath): boolean {
  let at: unknown = JSON.parse(text);
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Record<string | number, unknown>)[step];
  }
  return true;
}

/** The file's own style, from its first indented line. */
function formattingOf(text: string): FormattingOptions {
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  return {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 1 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}
