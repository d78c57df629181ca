# The programs that systems consist of besides their own services: init, and
# consoled where several services write to the console. `make services` builds them
# in build/services.

SERVICES := init consoled

.PHONY: services
services: $(SERVICES:%=build/services/%)

define SERVICE_RULE
build/services/$(1): $(wildcard services/$(1)/*.c services/$(1)/*.h) services/services.mk \
		lib/capos/capos-cc lib/capos/linker.ld $(LIB_FILES:%=build/lib/%)
	@mkdir -p $$(@D)
	CAPOS_CC_NO_MAKE=1 lib/capos/capos-cc -O2 -Wall -Wextra -Werror -o $$@ \
		$$(filter %.c,$$^)
endef

$(foreach service,$(SERVICES),$(eval $(call SERVICE_RULE,$(service))))
