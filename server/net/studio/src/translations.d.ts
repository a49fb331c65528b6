/** Made by build.mjs: tag of a language -> English text -> translation. English itself has none. */
declare module "translations" {
  const tables: Record<string, Record<string, string>>;
  export default tables;
}
