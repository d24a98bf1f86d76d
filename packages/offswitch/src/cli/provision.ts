// provision.ts: creates the declared switches at the source, as a plan first.

import { type Command, type Done, done } from './command.ts';
import { confirm } from './confirm.ts';
import { controlOf } from './control-of.ts';
import { needDeclared } from './declared.ts';
import { exit } from './failure.ts';
import { clean, count, paint } from './print.ts';

/** Shows what would be created; with `isApplied` creates it, after a yes. `kind`: another vendor than the one that is read now. */
export async function provision(
  command: Command,
  { isApplied, isYes, kind }: { readonly isApplied: boolean; readonly isYes: boolean; readonly kind: string | undefined },
): Promise<Done> {
  const { io } = command;
  const declared = await needDeclared(command.place);
  const wired = await controlOf(command, declared, kind);
  const plan = await wired.control.provision(declared.switches);
  command.say(paint(io, 'bold', `provision ${clean(wired.location)}`));
  const widest = Math.max(0, ...plan.steps.map((one) => one.key.length));
  for (const { key, change, detail } of plan.steps) {
    const colour = change === 'create' ? 'green' : change === 'refuse' ? 'red' : 'dim';
    command.say(`  ${paint(io, colour, change.padEnd(6))}  ${clean(key).padEnd(widest)}  ${clean(detail)}`);
  }
  const missing = plan.steps.filter((one) => one.change === 'create').length;
  const refused = plan.steps.filter((one) => one.change === 'refuse').length;
  if (missing === 0) {
    command.say(
      refused > 0 ? `  nothing to create; ${count(refused, 'flag')} must be looked at by a person` : '  nothing to create',
    );
    return done({ plan }, refused > 0 ? exit.failed : exit.ok);
  }
  if (!isApplied) {
    command.say('  this is the plan; nothing was written. To carry it out: offswitch provision --apply');
    return done({ plan }, refused > 0 ? exit.failed : exit.ok);
  }
  await confirm(io, `Create ${count(missing, 'flag')}?`, isYes);
  const made = await wired.control.provision(declared.switches, { apply: true });
  const created = made.steps.filter((one) => one.change === 'create').length;
  command.say(
    paint(io, 'green', `  ✓ ${count(created, 'flag')} created, each with its effect as description, and all of them released`),
  );
  await command.place.ask('refresh');
  return done({ plan: made }, refused > 0 ? exit.failed : exit.ok);
}
