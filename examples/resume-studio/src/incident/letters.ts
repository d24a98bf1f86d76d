// letters.ts: two letters that never arrive: one is held before it is out, one after. The process dies meanwhile.

import { expectedOutputs } from '../planner-expect.ts';
import type { Scene } from './scene.ts';

export interface StuckLetter {
  /** `<document>/<advert>`. */
  readonly letter: string;
  /** The conversation that sends it. */
  readonly conversation: string;
  readonly when: 'before' | 'after';
  /** Lets it through. */
  readonly release: () => void;
}

/** Documents whose letters are held: among the first that are worked on, and nobody that another step needs. */
const held = ['r-ada-data', 'r-ada-teach'];

export function holdLetters(scene: Scene): readonly StuckLetter[] {
  return held.map((id, index) => {
    const documents = scene.documents.filter((document) => document.id === id);
    const [letter] = expectedOutputs(scene.seed, documents, scene.adverts, ['cover-letter-draft']).letters;
    if (letter === undefined) throw new Error(`${id} sends no letter`);
    const when = index === 0 ? 'before' : 'after';
    const release = scene.model.brake.hold(({ name, about }) => name === 'send_letter' && about === `${letter} ${when}`);
    return { letter, conversation: `cover-letter-draft/${id}`, when, release };
  });
}

/** Pulls the plug in full flight, both letters on their way, and starts again. */
export async function crashInDelivery(scene: Scene, letters: readonly StuckLetter[]): Promise<void> {
  const { checks, model } = scene;
  await scene.until('both letters are on their way', () => {
    const waiting = model.brake.held().map(({ about }) => about);
    return letters.every(({ letter, when }) => waiting.includes(`${letter} ${when}`));
  });
  const goOn = scene.standStill();
  await scene.fleet.kill('SIGKILL');
  const sent = scene.outbox().map(({ letter }) => letter);
  const isAsMeant = letters.every(({ letter, when }) => sent.includes(letter) === (when === 'after'));
  checks.check('kill -9 in full flight leaves one letter out and one not, and neither is confirmed', isAsMeant, sent);
  for (const { release } of letters) release();
  scene.startFleet();
  await scene.until('both letters are of unknown outcome', async () => {
    const open = await scene.open();
    return letters.every(({ conversation }) =>
      open.some((view) => view.conversation === conversation && view.unknownCalls.some(({ name }) => name === 'send_letter')),
    );
  });
  await scene.until('the others go on', () => model.inFlight().length > 0);
  checks.check('started again, the fleet goes on by itself, and asks what became of the two letters', true);
  goOn();
}
