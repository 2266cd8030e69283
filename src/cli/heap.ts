import { setFlagsFromString } from 'node:v8';

/**
 * Turns off V8's incremental marking. Every packet of ssh2 is a buffer of its own, which dies at
 * once; V8 counts them as old memory and marks the whole heap for each few dozen mebibytes sent:
 * a third of the sender's CPU. The heap itself stays at a few mebibytes, so that a collection in
 * one go takes 2 to 4 ms.
 */
export function collectInOneGo(): void {
  setFlagsFromString('--no-incremental-marking');
}
