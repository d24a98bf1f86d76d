// guard.ts: the check before a call, the very function that the runtime calls, on the places of live sessions: hot, and cold
// over 100,000 sessions at random. Beside it the same asked from outside, through `session.decision`.

import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { nanosecondsEach, spread } from '../measure.ts';

const sessions = 100_000;

/** One session's place in its graph and everything wider, as the guard sees them; not what the package exports. */
interface Inner {
  readonly node: object;
  readonly engine: { readonly kernel: { readonly stops: { readonly tiers: object } } };
}
type Guard = (node: object, tiers: object, walk: () => { readonly action: string }) => { readonly action: string };

export const guard: Case = {
  figures: ['guard.hot.ns', 'guard.random.ns'],
  async run() {
    const fleet = await openFleet();
    await fleet.startRoots(sessions);
    // Not in the order of birth: neighbours on the heap are not neighbours here.
    const random = new Uint32Array(1 << 20).map(() => Math.floor(Math.random() * sessions));
    const one = fleet.live[sessions >> 1]!;
    const { guard: bare } = (await import(new URL('node.js', import.meta.resolve('@offswitch/runtime')).href)) as {
      guard: Guard;
    };
    const places = fleet.live.map((session) => (session as unknown as Inner).node);
    const place = places[sessions >> 1]!;
    const { tiers } = (one as unknown as Inner).engine.kernel.stops;
    let walked = 0;
    const walk = (): { action: string } => {
      walked++;
      return { action: 'walked' };
    };
    let allowed = 0;
    const times = 10_000_000;
    // What counting to ten million costs by itself, so that it is not taken for the guard's.
    let counted = 0;
    const loop = nanosecondsEach(times, (n) => {
      let runs = 0;
      for (let i = 0; i < n; i++) runs += i & 1;
      counted += runs;
    });
    check(counted === (13 * times) / 2, 'a loop that does not count');
    const hot = nanosecondsEach(times, (n) => {
      let runs = 0;
      for (let i = 0; i < n; i++) if (bare(place, tiers, walk).action === 'run') runs++;
      allowed += runs;
    });
    const cold = nanosecondsEach(random.length, (n) => {
      let runs = 0;
      for (let i = 0; i < n; i++) if (bare(places[random[i]!]!, tiers, walk).action === 'run') runs++;
      allowed += runs;
    });
    const asked = nanosecondsEach(times, (n) => {
      let runs = 0;
      for (let i = 0; i < n; i++) if (one.decision.action === 'run') runs++;
      allowed += runs;
    });
    check(walked === 0 && allowed === 13 * (2 * times + random.length), 'a session that nobody stopped was refused');
    await fleet.close();
    return [
      {
        name: 'guard.hot.ns',
        value: hot.value - loop.value,
        unit: 'ns',
        target: 5,
        note: `rounds ${spread(hot.samples)} less the empty loop ${loop.value.toFixed(2)}; asked through session.decision ${asked.value.toFixed(1)}`,
      },
      { name: 'guard.random.ns', value: cold.value, unit: 'ns', note: `of 100,000; rounds ${spread(cold.samples)}` },
    ];
  },
};
