// graph-worker.ts: one of the processes of the graph benchmark: a session that makes call after call. The first has the root and gives
// out the path; the others go on under it.

import { redisStore } from '@offswitch/redis';
import { createRuntime, type Session } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { switches } from './fleet.ts';
import { machineMs } from './measure.ts';

/** To a worker. `carrier`: headers of the path to go on under. */
export type GraphOrder =
  | { readonly type: 'begin'; readonly carrier?: Readonly<Record<string, string>> }
  | { readonly type: 'last' };

/** From a worker. `at`: when its last call began, by the machine's monotonic clock, in milliseconds. */
export type GraphNews =
  | { readonly type: 'ready' }
  | { readonly type: 'carries'; readonly root: string; readonly carriers: readonly Readonly<Record<string, string>>[] }
  | { readonly type: 'last'; readonly at: number };

const [url = '', others = '0'] = process.argv.slice(2);
/** From the end of one call to the next. */
const pauseMs = 1;

const tell = (news: GraphNews): void => void process.send?.(news);
const runtime = await createRuntime({
  switches,
  source: memorySource(switches),
  store: redisStore({ url, anchor: false }),
  parkAfterMs: 600_000,
});
let last = 0;

async function callOnAndOn(session: Session): Promise<void> {
  await session.turn(async (turn) => {
    if (Number(others) > 0) {
      const carriers: Readonly<Record<string, string>>[] = [];
      for (let i = 0; i < Number(others); i++) carriers.push((await session.carry()).headers);
      tell({ type: 'carries', root: session.id, carriers });
    }
    for (;;) {
      await turn.tool(
        'tick',
        {},
        () => {
          last = machineMs();
        },
        { effect: false },
      );
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  });
}
const agent = runtime.agent('work', callOnAndOn);

process.on('disconnect', () => process.exit(0));
process.on('message', async (order: GraphOrder) => {
  if (order.type === 'last') tell({ type: 'last', at: last });
  else if (order.carrier) void agent.run(undefined, { parent: await runtime.accept(order.carrier) });
  else agent.start(undefined, { userId: 'bench' });
});
tell({ type: 'ready' });
