// checks.ts: what was looked at, and whether it was so. One line each, and the count at the end.

export interface Checks {
  /** Prints `ok - <what>` or `not ok - <what>`, the latter with what was found instead. */
  check(what: string, isTrue: boolean, found?: unknown): void;
  /** A line that is no check. */
  say(line: string): void;
  /** Prints the count. True when nothing failed. */
  close(): boolean;
}

export function checksTo(print: (line: string) => void): Checks {
  let passed = 0;
  let failed = 0;
  return {
    check(what, isTrue, found) {
      if (isTrue) {
        passed++;
        print(`ok - ${what}`);
        return;
      }
      failed++;
      print(`not ok - ${what}`);
      if (found !== undefined) print(`    found: ${typeof found === 'string' ? found : JSON.stringify(found)}`.slice(0, 4_000));
    },
    say: print,
    close() {
      print(`${passed} passed, ${failed} failed`);
      return failed === 0 && passed > 0;
    },
  };
}
