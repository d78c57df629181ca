local check(x) = if x < 3 then check(x + 1) else error 'x is %d' % x;
{ deep: check(0) }
