// path.ts: what a path costs where it arrives, once per arrival: verifying and decoding one of twenty sessions, and its bytes on the wire.
// Beside it what the signatures alone take: 21 times HMAC-SHA256 by the machine's own library.

import { createHmac, randomBytes } from 'node:crypto';
import { extendPath, mintId, openToken, sealPath, signRoot } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { nanosecondsEach, spread } from '../measure.ts';

const depth = 20;

export const path: Case = {
  figures: ['path.verify.us', 'path.extend.us', 'path.bytes'],
  async run() {
    const keys = [{ id: 'k1', secret: randomBytes(32) }];
    const root = signRoot(keys, { session: mintId('s-'), workflow: 'resume-rewrite', user: 'u-1042', conversation: 'thread-77' });
    let parent = root;
    for (let n = 2; n < depth; n++) parent = extendPath(parent, { session: mintId('s-') });
    const now = Date.now();
    const self = extendPath(parent, { session: mintId('s-') });
    const token = sealPath(self, { expiresAt: now + 60_000, call: '3.tool:search' });
    const times = 2000;
    let sessions = 0;
    const verify = nanosecondsEach(times, (n) => {
      for (let i = 0; i < n; i++) sessions += openToken(keys, token, now).segments.length;
    });
    check(sessions === 13 * times * depth, 'a path that does not come back whole');
    let refused = 0;
    try {
      openToken(keys, token.replace(self.segments[9]!.session, mintId('s-')), now);
    } catch {
      refused++;
    }
    check(refused === 1, 'an edited path was accepted');
    const extend = nanosecondsEach(times, (n) => {
      for (let i = 0; i < n; i++) sessions += extendPath(parent, { session: 's-0123456789abcdef' }).segments.length;
    });
    const texts = token.split('.').slice(2, -1);
    check(texts.length === depth + 1, 'a token of another depth');
    const bare = nanosecondsEach(times, (n) => {
      for (let i = 0; i < n; i++) {
        let key: Uint8Array = keys[0]!.secret;
        for (const text of texts) key = createHmac('sha256', key).update(text).digest();
        sessions += key.length;
      }
    });
    return [
      {
        name: 'path.verify.us',
        value: verify.value / 1000,
        unit: 'us',
        target: 100,
        beside: { what: 'the bare HMAC chain', value: bare.value / 1000 },
        note: `depth ${depth}, decoded; rounds ${spread(
          verify.samples.map((ns) => ns / 1000),
          0,
        )}`,
      },
      {
        name: 'path.extend.us',
        value: extend.value / 1000,
        unit: 'us',
        note: `the twentieth session; rounds ${spread(extend.samples.map((ns) => ns / 1000))}`,
      },
      { name: 'path.bytes', value: token.length, unit: 'bytes', note: `depth ${depth}, ids as we mint them, sealed with a call` },
    ];
  },
};
