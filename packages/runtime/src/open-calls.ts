// open-calls.ts: the calls of a session that have no end yet, in the order they were made. A linked list through the calls
// themselves: a Set is rebuilt every few calls by adding and removing, on the path of each.

import type { Call } from './call.ts';

export class OpenCalls implements Iterable<Call> {
  size = 0;
  private first: Call | undefined;
  private last: Call | undefined;

  has(call: Call): boolean {
    return call.openIn === this;
  }

  add(call: Call): void {
    call.openIn = this;
    call.openBefore = this.last;
    call.openAfter = undefined;
    if (this.last) this.last.openAfter = call;
    else this.first = call;
    this.last = call;
    this.size++;
  }

  delete(call: Call): void {
    if (call.openIn !== this) return;
    const { openBefore, openAfter } = call;
    if (openBefore) openBefore.openAfter = openAfter;
    else this.first = openAfter;
    if (openAfter) openAfter.openBefore = openBefore;
    else this.last = openBefore;
    call.openIn = undefined;
    call.openBefore = undefined;
    this.size--;
  }

  /** A call that ends while it is looked at still knows the next one, so that a walk may end what it finds. */
  *[Symbol.iterator](): Generator<Call> {
    for (let call = this.first; call; call = call.openAfter) if (call.openIn === this) yield call;
  }
}
