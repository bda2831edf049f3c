import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from '../../../src/base/fifo.ts';

type Step = { readonly is: 'push' | 'drop' | 'cut' | 'set'; readonly by: number };

const steps = fc.array(
  fc.record<Step>({ is: fc.constantFrom('push', 'push', 'drop', 'cut', 'set'), by: fc.nat(700) }),
  { maxLength: 60 },
);

describe('a fifo', () => {
  it('holds what an array would hold, through pushes, drops, cuts and changes in any order', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        let made = 0;
        for (const { is, by } of taken) {
          const place = model.length === 0 ? 0 : by % (model.length + 1);
          if (is === 'push') {
            for (let i = 0; i < by; i++) {
              fifo.push(made);
              model.push(made++);
            }
          } else if (is === 'drop') {
            fifo.drop(place);
            model = model.slice(place);
          } else if (is === 'cut') {
            expect(fifo.cut(place)).toEqual(model.splice(place));
          } else if (place < model.length) {
            fifo.set(place, -by);
            model[place] = -by;
          }
          expect(fifo.length).toBe(model.length);
          expect(fifo.at(0)).toBe(model[0]);
          expect(fifo.at(model.length)).toBeUndefined();
        }
        expect([...fifo]).toEqual(model);
      }),
    );
  });

  it('does not give a place that was never taken', () => {
    const fifo = new Fifo<number>();
    fifo.push(1);
    expect(() => fifo.drop(2)).toThrow();
    expect(() => fifo.set(1, 7)).toThrow();
  });
});
