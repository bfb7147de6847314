/** johnny-five and firmata-io read it when they are loaded, and then behave otherwise: this must be imported before them. */
delete process.env["IS_TEST_MODE"];
