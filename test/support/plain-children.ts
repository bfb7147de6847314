import processOnSpawn from "process-on-spawn";

/*
 * tap puts NODE_OPTIONS with its coverage loader into the environment of every child. That triples a child's
 * start and ends one under the permission model, which may not read the loader. A test that imports this
 * file starts its children as production does. (process-on-spawn is how tap does it.)
 */
processOnSpawn.removeAllListeners();
