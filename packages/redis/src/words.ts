// words.ts: people's words on calls of unknown outcome: the first one about a call counts, and each is told once.

import type { Resolution } from '@offswitch/runtime';
import { parsed, type Unreadable } from './unreadable.ts';
import type { Whole } from './whole.ts';

export class Words {
  private readonly told = new Set<string>();

  /** What is one in Redis. */
  static key({ session, call }: Pick<Resolution, 'session' | 'call'>): string {
    return JSON.stringify([session, call]);
  }

  /** This process said it. */
  said(word: Resolution): void {
    this.told.add(Words.key(word));
  }

  /** What was told so far, to be compared with what Redis says a little later. */
  toldOf(): readonly string[] {
    return [...this.told];
  }

  /**
   * Those of a hash that are new here. Of those told before it was read, what is not there any more is forgotten. What cannot be read is named in
   * the store's health.
   */
  newIn(words: Whole['words'], before: readonly string[], key: string, unreadable: Unreadable): Resolution[] {
    const found = unreadable.readable<Resolution>(key, words, isResolution);
    const kept = new Set(found.map(Words.key));
    for (const one of before) if (!kept.has(one)) this.told.delete(one);
    return this.newOf(found);
  }

  /** The one that an event tells of, if it is new here. */
  newOne(text: string): Resolution[] {
    const word = parsed<Resolution>(text, isResolution);
    return word ? this.newOf([word]) : [];
  }

  private newOf(words: readonly Resolution[]): Resolution[] {
    const found = words.filter((word) => !this.told.has(Words.key(word)));
    for (const word of found) this.said(word);
    return found;
  }
}

function isResolution({ session, call, verdict }: Readonly<Record<string, unknown>>): boolean {
  return typeof session === 'string' && typeof call === 'string' && (verdict === 'happened' || verdict === 'did-not');
}
