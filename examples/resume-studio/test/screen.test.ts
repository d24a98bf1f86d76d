// screen.test.ts: what is printed without a terminal: one line for one thing, whatever is in it, and nothing once nobody reads.

import type { RuntimeEvent, RuntimeListener, Stop } from 'offswitch';
import { describe, expect, test } from 'vitest';
import { openScreen } from '../src/screen.ts';

const stop: Stop = {
  id: 'x',
  cause: 'switch',
  tier: 'user',
  action: 'pause',
  subject: { userId: 'u-1' },
  reason: 'red \u001b[31mand\nSTOP global: forged',
  by: 'eve\r\u202e',
  since: 0,
};

/** A screen over a runtime that only tells events. */
function plain(isRead = true) {
  const listeners: RuntimeListener[] = [];
  let text = '';
  const output = { isTTY: false, write: (part: string) => (text += part) } as unknown as NodeJS.WriteStream;
  const runtime = {
    subscribe: (listener: RuntimeListener) => {
      listeners.push(listener);
      return () => undefined;
    },
  } as unknown as Parameters<typeof openScreen>[0]['runtime'];
  const screen = openScreen({
    runtime,
    output,
    isRead: () => isRead,
    isPlain: true,
    command: 'offswitch',
    jobs: 1,
    ended: () => 0,
    footer: [],
    views: () => [],
  });
  return {
    screen,
    tell: (event: RuntimeEvent) => {
      for (const listener of listeners) listener(event);
    },
    text: () => text,
  };
}

describe('plain lines', () => {
  test('let no escape sequence and no line of somebody else through', () => {
    const { tell, screen, text } = plain();
    tell({ type: 'stop', stop, engaged: true } as RuntimeEvent);
    screen.say('r-\u001b[2J\n99 ended');
    expect(text().split('\n')).toHaveLength(3);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the point of the test
    expect(text()).not.toMatch(/[\u001b\r\u202e]/);
    expect(text()).toContain('STOP user u-1: red  [31mand STOP global: forged (eve  )');
  });
  test('are no more once nobody reads them', () => {
    const { tell, screen, text } = plain(false);
    tell({ type: 'stop', stop, engaged: true } as RuntimeEvent);
    screen.say('x');
    expect(text()).toBe('');
  });
});
