// step-3-letter.ts: a session is terminated while its letter is on its way: what it may send with is taken back, so that the mail server refuses
// the letter, and anybody else who has got hold of the token.

import type { Receipt, SessionView } from 'offswitch';
import { expectedOutputs } from '../planner-expect.ts';
import type { StuckLetter } from './letters.ts';
import type { Scene } from './scene.ts';
import type { WatchedMail } from './watched-mail.ts';

/** Whose letter is held: nobody that another step needs. */
const held = 'r-bo-train';

export function holdLetterToStop(scene: Scene): StuckLetter {
  const documents = scene.documents.filter(({ id }) => id === held);
  const [letter] = expectedOutputs(scene.seed, documents, scene.adverts, ['cover-letter-draft']).letters;
  if (letter === undefined) throw new Error(`${held} sends no letter`);
  const release = scene.model.brake.hold(({ name, about }) => name === 'send_letter' && about === `${letter} before`);
  return { letter, conversation: `cover-letter-draft/${held}`, when: 'before', release };
}

/** `other`: a letter that is held before it is out, of a session that is let be. */
export async function terminateInDelivery(
  scene: Scene,
  mail: WatchedMail,
  { letter, conversation, release }: StuckLetter,
  other: StuckLetter,
): Promise<void> {
  const { checks } = scene;
  const [target, bystander] = await scene.until('both letters are on their way', () =>
    Promise.all([atDelivery(scene, letter, conversation), atDelivery(scene, other.letter, other.conversation)]).then(
      ([one, two]) => one && two && ([one, two] as const),
    ),
  );
  // The work that is left is for the steps to come.
  const goOn = scene.standStill();
  const [own, others] = [mail.tokenOf(target.id), mail.tokenOf(bystander.id)];
  const before = [await mail.send(own), await mail.send(others), await mail.send(undefined)];
  checks.check(
    'the mail server takes letters with the token of either session, and none without',
    own !== others && before.join() === '202,202,401',
    before,
  );

  await scene.flip('engage', 'instance', target.id);
  // Taken back with the fence: it does not wait for the effect that is under way.
  const receipt = await scene.until('its grant is taken back', async () => {
    const all = await scene.receipts();
    return all.find(
      ({ stop, grants }) =>
        stop.subject.sessionId === target.id && grants.length > 0 && grants.every(({ state }) => state === 'revoked'),
    );
  });
  checks.check(
    'the receipt names its grant, and nobody else’s, as revoked, and says that this was verified',
    receipt.grants.every((one) => one.session === target.id && one.broker === 'mail' && isVerified(one)),
    receipt.grants,
  );
  const after = [await mail.send(own), await mail.send(others)];
  checks.check(
    "a letter sent straight to the mail server with the terminated session's token is refused, a bystander's is taken",
    after.join() === '401,202',
    after,
  );

  // The effect in flight keeps its deadline, and has lost its credential.
  release();
  const done = await scene.receipt('instance', target.id, 'done');
  const answers = mail.log.filter((one) => one.letter === letter).map(({ status }) => status);
  const isOut = scene.outbox().some((one) => one.letter === letter);
  checks.check('its letter that was on its way is refused too, and is not in the outbox', answers.join() === '401' && !isOut, {
    answers,
    isOut,
  });
  const calls = done.sessions.flatMap((one) => (one.session === target.id ? one.calls : []));
  checks.check(
    'and the receipt says of the call that it failed: nobody has to find out what became of the letter',
    calls.some(({ name, outcome }) => name === 'send_letter' && outcome === 'failed'),
    calls,
  );
  goOn();
}

/** What the broker says of it when its revocation was looked at (runtime, grants/revoker.ts). */
const isVerified = ({ evidence }: Receipt['grants'][number]): boolean => evidence?.includes('verified: inactive') ?? false;

/** The root session of a conversation whose letter is held. */
async function atDelivery(scene: Scene, letter: string, conversation: string): Promise<SessionView | undefined> {
  if (!scene.model.brake.held().some(({ about }) => about === `${letter} before`)) return undefined;
  return (await scene.open()).find((view) => view.conversation === conversation && view.parent === undefined);
}
