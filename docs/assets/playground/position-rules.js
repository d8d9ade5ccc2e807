// What five position encodings say of a distance.
"use strict";

const LivePositions = (() => {
  const WIDTH = 16;
  const TRAINED = 128;

  /** Radians that pair `i` of `WIDTH` / 2 turns at each position. @param {number} i @param {number} base */
  const speed = (i, base) => base ** ((-2 * i) / WIDTH);

  /**
   * Cosine of the angle between two rows of the sinusoidal table, `distance` apart.
   *
   * @param {number} distance
   * @param {number} base
   */
  function sinusoidal(distance, base) {
    let sum = 0;
    for (let i = 0; i < WIDTH / 2; i++) sum += Math.cos(distance * speed(i, base));
    return sum / (WIDTH / 2);
  }

  /**
   * Score of a query and a key of ones, both turned by their positions, over their score unturned.
   * Pair by pair it is the sum above; here the token's own features weigh the pairs, there nothing.
   *
   * @param {number} distance
   * @param {number} base
   * @param {number} pairs how many pairs are turned; the others keep still
   */
  function rope(distance, base, pairs) {
    let sum = WIDTH / 2 - pairs;
    for (let i = 0; i < pairs; i++) sum += Math.cos(distance * speed(i, base));
    return sum / (WIDTH / 2);
  }

  /**
   * What ALiBi takes from the score, for a head's slope.
   *
   * @param {number} distance
   * @param {number} slope
   */
  const alibi = (distance, slope) => -slope * distance;

  /**
   * T5's bucket of a key that lies `distance` back, in a decoder: 16 near ones alone, the rest in
   * logarithmic steps up to 128. What a bucket adds to the score is learned.
   *
   * @param {number} distance
   */
  function bucket(distance) {
    if (distance < 16) return distance;
    // As the authors: in 32 bits. With more, some powers of two would fall a bucket lower.
    const share = Math.fround(
      Math.fround(Math.log(Math.fround(distance / 16))) / Math.log(128 / 16),
    );
    return Math.min(31, 16 + Math.floor(Math.fround(share * 16)));
  }

  return { WIDTH, TRAINED, speed, sinusoidal, rope, alibi, bucket };
})();
