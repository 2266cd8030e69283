/** What of `node-gyp-build` is used, which comes without types. */
declare module 'node-gyp-build' {
  /** Finds the addon of a package: the one built there, or the one handed out for this machine. */
  const load: { resolve(packageRoot: string): string };
  export default load;
}
