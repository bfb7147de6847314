export { toyBytes as getRandomBytes } from "./toy.ts";
